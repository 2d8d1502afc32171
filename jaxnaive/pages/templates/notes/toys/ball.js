"use strict";
/* Optimizers to watch: three as balls on a curve, six as tracks down a valley. It needs no numbers.
   The rules are those of jaxnaive/optimizers.py, the curves and the valley those of jaxnaive/descent.py. */
jaxnaive.toys.ball = (() => {
  const { make, words, short } = jaxnaive;

  // --- the mathematics ------------------------------------------------------------------------------------

  /* For one number: what is remembered at first; and from the gradient, the memory, the step (the first is 1) and
     the momentum, [direction, ...memory]. The step itself is `w - rate * direction`. */
  const RULES = {
    sgd: [[], (g) => [g]],
    momentum: [[0], (g, [v], t, decay) => [g + decay * v, g + decay * v]],
    nesterov: [[0], (g, [v], t, decay) => [g + decay * (g + decay * v), g + decay * v]],
    adagrad: [[0.1], (g, [s]) => [g / Math.sqrt(s + g * g + 1e-7), s + g * g]],
    rmsprop: [[0], (g, [s]) => {
      const square = 0.9 * s + 0.1 * g * g;
      return [g / Math.sqrt(square + 1e-8), square];
    }],
    adam: [[0, 0], (g, [m, s], t) => {
      const mean = 0.9 * m + 0.1 * g, square = 0.999 * s + 0.001 * g * g;
      return [mean / (1 - 0.9 ** t) / (Math.sqrt(square / (1 - 0.999 ** t)) + 1e-8), mean, square];
    }],
  };

  /* Where an optimizer goes: [steps + 1][coordinates]. */
  function follow(name, rate, gradient, start, steps, decay = 0.9) {
    const [memory, rule] = RULES[name];
    const path = [start];
    let memories = start.map(() => memory);
    for (let t = 1; t <= steps; t++) {
      const results = gradient(path.at(-1)).map((g, i) => rule(g, memories[i], t, decay));
      memories = results.map(([, ...memory]) => memory);
      path.push(path.at(-1).map((w, i) => w - rate * results[i][0]));
    }
    return path;
  }

  /* A bowl around 2, with a dent. */
  const CURVES = {
    shallow: { depth: 0.8, width: 0.6, place: -1.0, start: -2.5 },
    deep: { depth: 1.2, width: 0.6, place: -1.0, start: -1.3 },
    best: { depth: 1.4, width: 0.4, place: -0.5, start: -2.5 },
  };
  const dent = ({ depth, width, place }, w) => depth * Math.exp(-(((w - place) / width) ** 2));
  const loss = (curve, w) => 0.15 * (w - 2) ** 2 - dent(curve, w);
  const slope = (curve, w) => 0.3 * (w - 2) + 2 * ((w - curve.place) / curve.width ** 2) * dent(curve, w);

  /* An ill-conditioned quadratic: 100 times as steep across as along. */
  const valley = ([x, y]) => 0.5 * (x * x + 100 * y * y);
  const valleySlope = ([x, y]) => [x, 100 * y];

  /* The step from which a path of one coordinate stays within 0.01 of its end; null if it still moves there. */
  function restsAfter(path) {
    const end = path.at(-1)[0];
    if (!Number.isFinite(end)) return null;
    const step = path.findLastIndex(([w]) => Math.abs(w - end) > 0.01) + 1;
    return step < 0.98 * (path.length - 1) ? step : null;
  }

  /* The steps until the loss in the valley is a millionth of the first; null if it never is. */
  function stepsToMillionth(path) {
    const step = path.findIndex((w) => valley(w) < 1e-6 * valley(path[0]));
    return step < 0 ? null : step;
  }

  // --- what both views share ------------------------------------------------------------------------------

  const log = (power) => short(10 ** power);
  const fixed = (x, digits) => (Math.abs(x) < 1e4 ? x.toFixed(digits).replace(/^-(0\.0*)$/, "$1") : "∞");

  /* A picture of paths that runs up to step `last`, with its buttons, sliders, table, and line in words.
     `follows` makes the paths from the values of the sliders. */
  function view({ last, label, draw, sliders, follows, columns, rows, cells, sentence }) {
    const said = jaxnaive.said(), boxes = rows.map(() => columns.map(() => make("td")));
    const inputs = sliders.map(([both, min, max, step, value, show, change]) =>
      jaxnaive.slider({ label: words(...both), min, max, step, value, show, change: () => change() }));
    const follow = () => follows(...inputs.map((one) => one.value));
    let now = 0, stop = () => {}, paths = follow();
    const picture = jaxnaive.canvas(2, (...drawing) => draw(...drawing, paths, now), 260);
    picture.element.setAttribute("aria-label", label);
    const to = (step, moving = false) => {
      now = Math.min(step, last);
      picture.redraw();
      boxes.forEach((row, k) => cells(paths[k], now).forEach((text, i) => (row[i].textContent = text)));
      if (!moving || now === last) said.replaceChildren(words(...sentence(paths, now)));
      return now < last;
    };
    const halt = (step) => (stop(), to(step));
    const again = (step = now) => {
      paths = follow();
      halt(step);
    };
    const run = () => {
      halt(now % last);
      stop = jaxnaive.animate(() => to(now + 1 + Math.floor(now / 60), true)); // faster when less happens
    };
    const tools = make(
      "div", { class: "tools" }, jaxnaive.button(words("Run", "运行"), run),
      jaxnaive.button(words("Stop", "停止"), () => halt(now)),
      jaxnaive.button(words("Step", "一步"), () => halt(now + 1)),
      jaxnaive.button(words("Reset", "重置"), () => halt(0)),
    );
    const table = jaxnaive.table(["", ...columns.map((both) => words(...both))], rows.map((row, k) => [row, boxes[k]]));
    const element = make("div", {}, picture.element, tools, ...inputs.map((one) => one.element), table, said);
    return { element, inputs, again };
  }

  /* Keep to the inside of the axes. */
  function clip(context, at) {
    context.beginPath();
    context.rect(at.left, 0, at.right - at.left, at.bottom);
    context.clip();
  }

  // --- balls on a curve -----------------------------------------------------------------------------------

  const STEPS = 1000, RADIUS = 9, FROM = -3.5, TO = 6;
  const BALLS = [
    ["sgd", "blue", ["plain descent", "梯度下降"]],
    ["momentum", "orange", ["heavy ball", "重球动量"]],
    ["nesterov", "green", ["Nesterov", "Nesterov 动量"]],
  ];

  function where(curve, w) {
    if (Math.abs(w - curve.place) < curve.width) return ["in the dent", "小坑里"];
    return Math.abs(w - 2) < 0.5 ? ["at the bottom of the bowl", "碗底"] : ["on the slope", "坡上"];
  }

  /* What becomes of a ball, in both languages. */
  function outcome(curve, path) {
    const step = restsAfter(path), end = path.at(-1)[0], at = fixed(end, 2);
    if (!path.every(([w]) => Math.abs(w) < 100))
      return ["flies away: the learning rate is too large", "飞走了：学习率太大"];
    if (step === null) return [`still moves after ${STEPS} steps, at ${at}`, `${STEPS} 步之后仍在动，位置 ${at}`];
    const [en, zh] = where(curve, end);
    return [`rests ${en}, at ${at}, after ${step} steps`, `${step} 步后停在${zh}，位置 ${at}`];
  }

  function drawBalls(context, width, height, color, paths, now, curve) {
    const at = jaxnaive.frame(context, width, height, color, { from: FROM, to: TO }, { from: -0.7, to: 4.8 });
    clip(context, at);
    context.beginPath();
    for (let w = FROM; w < TO; w += 0.02) context.lineTo(at.x(w), at.y(loss(curve, w)));
    Object.assign(context, { lineWidth: 2, strokeStyle: color.ink, textAlign: "center" });
    context.stroke();
    const shown = [];
    paths.forEach((path, k) => {
      context.fillStyle = color[BALLS[k][1]];
      context.globalAlpha = 0.5;
      for (const [w] of path.slice(0, now + 1)) context.fillRect(at.x(w) - 1.5, at.y(loss(curve, w)) - 3 * k - 5, 3, 3);
      context.globalAlpha = 1;
    });
    paths.forEach((path, k) => {
      const [w] = path[now], x = at.x(w);
      const below = shown.filter((other) => Math.abs(other - x) < 1.6 * RADIUS).length; // they pile up
      const y = at.y(loss(curve, w)) - RADIUS * (1 + 2 * below);
      shown.push(x);
      context.fillStyle = color[BALLS[k][1]];
      context.beginPath();
      context.arc(x, y, RADIUS, 0, 7);
      context.fill();
      context.fillStyle = color.paper;
      context.fillText(k + 1, x, y);
    });
  }

  function balls() {
    let curve = CURVES.shallow;
    const change = () => shown.again(0);
    const shown = view({
      last: STEPS, label: "loss curve with balls / 损失曲线和小球",
      draw: (...drawing) => drawBalls(...drawing, curve),
      sliders: [
        [["start", "起点"], -3, 5, 0.1, curve.start, (x) => x.toFixed(1), change],
        [["learning rate", "学习率"], -3, 1, 0.01, Math.log10(0.05), log, change],
        [["momentum", "动量"], 0, 0.99, 0.01, 0.9, (x) => x.toFixed(2), change],
      ],
      follows: (start, rate, decay) =>
        BALLS.map(([name]) => follow(name, 10 ** rate, ([w]) => [slope(curve, w)], [start], STEPS, decay)),
      columns: [["place", "位置"], ["loss", "损失"], ["steps to rest", "停下所需步数"]],
      rows: BALLS.map(([, color, both], k) => make("span", {}, jaxnaive.swatch(color), `${k + 1} `, words(...both))),
      cells: (path, now) => [fixed(path[now][0], 3), fixed(loss(curve, path[now][0]), 3), restsAfter(path) ?? "–"],
      sentence(paths, now) {
        if (now < STEPS) return [`Step ${now}.`, `第 ${now} 步。`];
        const [en, zh] = [0, 1].map((i) => BALLS.map(([, , both], k) => `${both[i]} ${outcome(curve, paths[k])[i]}`));
        return [`${en.join("; ").replace("p", "P")}.`, `${zh.join("；")}。`];
      },
    });
    const choice = jaxnaive.radios({
      label: words("curve", "曲线"), value: "shallow",
      options: [
        ["shallow", words("a small dent", "小坑")],
        ["deep", words("a deep dent, no run-up", "坑深，没有助跑")],
        ["best", words("the dent is lowest", "坑底最低")],
      ],
      change(name) {
        curve = CURVES[name];
        shown.inputs[0].set(curve.start);
        change();
      },
    });
    change();
    return make("div", {}, choice.element, shown.element);
  }

  // --- tracks down a valley -------------------------------------------------------------------------------

  const LIMIT = 3000, SHOWN = 300, START = [2, 0.3];
  const TRACKS = { // colour, and the learning rate that is multiplied by the slider's factor
    sgd: ["ink", 0.018], momentum: ["orange", 0.01], nesterov: ["green", 0.01],
    adagrad: ["red", 0.3], rmsprop: ["#9124ff", 0.02], adam: ["blue", 0.1],
  };

  function drawValley(context, width, height, color, paths, now) {
    const at = jaxnaive.frame(context, width, height, color, { from: -2.4, to: 2.4 }, { from: -0.6, to: 0.6 });
    clip(context, at);
    Object.assign(context, { strokeStyle: color.faint, lineWidth: 1 });
    for (let level = 0.02; level < 40; level *= 2.5) { // ellipses, on which the loss is the same
      const along = at.x(Math.sqrt(2 * level)) - at.x(0), across = at.y(0) - at.y(Math.sqrt(2 * level / 100));
      context.beginPath();
      context.ellipse(at.x(0), at.y(0), along, across, 0, 0, 7);
      context.stroke();
    }
    for (const { name, path } of paths) {
      const paint = color[TRACKS[name][0]] ?? TRACKS[name][0];
      Object.assign(context, { strokeStyle: paint, fillStyle: paint, lineWidth: 1.75, lineJoin: "round" });
      const finite = path.slice(0, now + 1).filter((w) => w.every((x) => Math.abs(x) < 1e6));
      const places = finite.map(([x, y]) => [at.x(x), at.y(y)]);
      context.beginPath();
      places.forEach((place) => context.lineTo(...place));
      context.stroke();
      context.beginPath();
      context.arc(...places.at(-1), 5, 0, 7);
      context.fill();
    }
  }

  function tracks() {
    const names = Object.keys(TRACKS), on = new Set(names);
    const box = (name) => {
      const label = make("span", {}, jaxnaive.swatch(TRACKS[name][0]), name);
      return jaxnaive.checkbox(label, true, (checked) => {
        if (checked) on.add(name);
        else on.delete(name);
        shown.again();
      }).element;
    };
    const chosen = (paths) => paths.filter(({ name }) => on.has(name));
    const shown = view({
      last: SHOWN, label: "contour lines of a valley with tracks / 山谷的等高线和轨迹",
      draw: (context, width, height, color, paths, now) =>
        drawValley(context, width, height, color, chosen(paths), now),
      sliders: [[["learning rates ×", "学习率 ×"], -1, 1, 0.02, 0, log, () => shown.again()]],
      follows: (factor) => names.map((name) => {
        const rate = TRACKS[name][1] * 10 ** factor;
        return { name, rate, path: follow(name, rate, valleySlope, START, LIMIT) };
      }),
      columns: [["rate", "学习率"], ["loss", "损失"], ["steps to 10⁻⁶", "到 10⁻⁶ 的步数"]],
      rows: names.map(box),
      cells({ rate, path }, now) {
        const height = valley(path[now]);
        return [short(rate), height < 1e6 ? short(height) : "∞", stepsToMillionth(path) ?? `>${LIMIT}`];
      },
      sentence(paths, now) {
        const height = ({ path }) => valley(path[now]), finite = chosen(paths).filter((one) => height(one) < 1e6);
        if (!finite.length || !now) return [`Step ${now}.`, `第 ${now} 步。`];
        const best = finite.reduce((a, b) => (height(b) < height(a) ? b : a)), lowest = height(best);
        return [`Step ${now}: ${best.name} is lowest, loss ${short(lowest)}.`,
          `第 ${now} 步：${best.name} 最低，损失 ${short(lowest)}。`];
      },
    });
    shown.again(60);
    return shown.element;
  }

  function start(element) {
    jaxnaive.guard(element, () => {
      const views = { balls: balls(), valley: tracks() };
      const show = (name) => Object.entries(views).forEach(([other, view]) => (view.hidden = other !== name));
      const choice = jaxnaive.radios({
        label: words("to see", "看什么"), value: "balls", change: show,
        options: [
          ["balls", words("balls on a curve", "曲线上的小球")],
          ["valley", words("six optimizers in a valley", "山谷里的六种优化器")],
        ],
      });
      element.append(choice.element, ...Object.values(views));
      show("balls");
    });
  }

  return { start, follow, CURVES, loss, slope, valley, valleySlope, restsAfter, stepsToMillionth, TRACKS };
})();
