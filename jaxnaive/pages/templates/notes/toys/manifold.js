"use strict";
/* What the layers of a network make of two classes of points, epoch by epoch. Its numbers, of E epochs, L layers (the
   input and the hidden ones) and P points, are {epochs: [E], points: [E][L][P][2], classes: [P], accuracy: [E][L]},
   the accuracy of a linear classifier on each layer. They come from jaxnaive/manifold.py. */
jaxnaive.toys.manifold = (() => {
  const { make, words } = jaxnaive;

  // --- the mathematics ------------------------------------------------------------------------------------

  /* The lengths of nested arrays, "?" where they differ. */
  function shape(nested) {
    if (!Array.isArray(nested)) return [];
    const inner = nested.map(shape), same = inner.every((one) => String(one) === String(inner[0]));
    return [nested.length, ...(same ? inner[0] ?? [] : ["?"])];
  }

  /* The points of a layer at a place between two epochs, on straight ways: 1.5 is half way from the second to the
     third. */
  function between(points, layer, place) {
    const before = points[Math.floor(place)][layer], after = points[Math.ceil(place)][layer], part = place % 1;
    return before.map((point, i) => point.map((x, axis) => x + part * (after[i][axis] - x)));
  }

  /* Bounds [[left, right], [bottom, top]] with all points of a layer at every epoch, a little room around them, and
     the same scale on both axes of a picture that is `aspect` times as wide as it is high. */
  function bounds(points, layer, aspect) {
    const all = points.flatMap((layers) => layers[layer]);
    const ends = [0, 1].map((axis) => all.reduce(([low, high], point) =>
      [Math.min(low, point[axis]), Math.max(high, point[axis])], [Infinity, -Infinity]));
    const [width, height] = ends.map(([low, high]) => 1.1 * (high - low) || 1);
    const half = [Math.max(width, height * aspect) / 2, Math.max(height, width / aspect) / 2];
    return ends.map(([low, high], axis) => [(low + high) / 2 - half[axis], (low + high) / 2 + half[axis]]);
  }

  // --- the toy --------------------------------------------------------------------------------------------

  const COLORS = ["blue", "orange", "green", "red"], EACH = 15; // pictures from an epoch to the next
  const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;
  const name = (layer) => (layer ? [`hidden ${layer}`, `隐藏层 ${layer}`] : ["input", "输入"]);

  function check({ epochs, points, classes, accuracy }) {
    const [e, l, p, two] = shape(points), got = [epochs, points, classes, accuracy].map((one) => `[${shape(one)}]`);
    const fits = [[e], [e, l, p, 2], [p], [e, l]].every((expected, i) => `[${expected}]` === got[i]);
    if (fits && e && l && p && two === 2) return;
    const names = ["epochs", "points", "classes", "accuracy"];
    const came = names.map((one, i) => `${one} ${got[i]}`), want = "[E], [E,L,P,2], [P], [E,L]";
    throw Object.assign(new Error(`manifold: got the shapes ${came.join(", ")}, expected ${want}.`),
      { zh: `manifold：得到的形状是 ${came.join("、")}，应为 ${want}。` });
  }

  function drawPoints(context, width, height, color, points, classes, [x, y]) {
    const at = jaxnaive.frame(context, width, height, color, x, y);
    points.forEach(([left, up], i) => {
      context.fillStyle = color[COLORS[classes[i] % COLORS.length]];
      context.beginPath();
      if (classes[i] % 2) context.rect(at.x(left) - 3.2, at.y(up) - 3.2, 6.4, 6.4);
      else context.arc(at.x(left), at.y(up), 3.8, 0, 7);
      context.globalAlpha = 0.8;
      context.fill();
    });
    context.globalAlpha = 1;
  }

  function build(element, { epochs, points, classes, accuracy }) {
    const layers = points[0].length, last = epochs.length - 1, found = [...new Set(classes)].sort();
    let place = last, layer = layers - 1, stop = () => {};

    const picture = jaxnaive.canvas(1.6, (context, width, height, color) => {
      const [across, up] = jaxnaive.inside(width, height);
      const [x, y] = bounds(points, layer, across / up).map(([from, to]) => ({ from, to }));
      drawPoints(context, width, height, color, between(points, layer, place), classes, [x, y]);
    }, 310);
    picture.element.setAttribute("aria-label", "points of two classes / 两类点");
    const epoch = jaxnaive.slider({
      label: words("epoch", "轮次"), min: 0, max: last, step: 1, value: place, show: (i) => String(epochs[i]),
      change: (to) => rest(to),
    });
    const depth = jaxnaive.slider({
      label: words("layer", "层"), min: 0, max: layers - 1, step: 1, value: layer, show: (i) => words(...name(i)),
      change: (to) => {
        layer = to;
        rest(Math.round(place));
      },
    });
    const run = make("button", { type: "button", onclick: () => (running ? rest(Math.round(place)) : play()) });
    const cells = points[0].map(() => make("td")), said = jaxnaive.said();
    let running = false;

    function play() {
      running = true;
      if (place === last) place = 0;
      redraw();
      let count = place * EACH; // whole numbers, so that the way ends exactly at the last epoch
      stop = jaxnaive.animate(() => {
        count += 1;
        place = Math.min(count / EACH, last);
        if (place === last) running = false;
        redraw();
        return running;
      });
    }

    /* Stop there. */
    function rest(to) {
      stop();
      running = false;
      place = to;
      redraw();
    }

    function redraw() {
      const now = Math.floor(place);
      picture.redraw();
      epoch.set(now);
      run.replaceChildren(running ? words("Stop", "停止") : words("Run", "运行"));
      cells.forEach((cell, i) => {
        cell.textContent = percent(accuracy[now][i]);
        cell.className = i === layer ? "chosen" : "";
      });
      if (running) return; // a screen reader would speak at every picture
      const [en, zh] = name(layer), right = percent(accuracy[now][layer]);
      said.replaceChildren(words(
        `Epoch ${epochs[now]}, ${en}: the best linear classifier there is right for ${right} of new points.`,
        `第 ${epochs[now]} 轮，${zh}：最好的线性分类器在新的点上正确率是 ${right}。`));
    }

    const key = found.map((one) => make("span", {}, jaxnaive.swatch(COLORS[one % COLORS.length]),
      words(`class ${one} `, `类别 ${one} `)));
    const heads = points[0].map((_, i) => words(...name(i)));
    element.classList.add("manifold");
    const note = words("Hidden layers have more dimensions than the two that are drawn.",
      "隐藏层的维数更多，图上只画出其中两个方向。");
    element.append(make("p", { class: "legend" }, ...key, note), picture.element, epoch.element, depth.element,
      make("div", { class: "tools" }, run), said,
      jaxnaive.table(["", ...heads], [[words("linear classifier", "线性分类器"), cells]]));
    redraw();
  }

  function start(element, numbers) {
    jaxnaive.guard(element, () => {
      check(numbers);
      build(element, numbers);
    });
  }

  return { start, shape, between, bounds };
})();
