"use strict";
/* Loss curves of one network, trained with many learning rates and with several seeds for each: slow, good, diverged.
   Its numbers: rates [R], rising; losses [R][seeds][points], null where a loss is not finite; epochs [points], where
   the points are; kinds [R], "slow", "good" or "diverged". */
jaxnaive.toys.rates = (() => {
  const { make, words, short } = jaxnaive;
  const plain = (x) => String(Number(x.toPrecision(3))); // 0.0001, which short() writes as 1.0e-4
  const KINDS = { slow: ["blue", "slow", "慢"], good: ["green", "good", "合适"], diverged: ["red", "diverged", "发散"] };

  // --- the mathematics ------------------------------------------------------------------------------------

  function mean(values) {
    return values.reduce((a, b) => a + b, 0) / values.length;
  }

  /* The standard deviation of which these values are a sample. */
  function deviation(values) {
    const middle = mean(values);
    return Math.sqrt(values.reduce((sum, x) => sum + (x - middle) ** 2, 0) / (values.length - 1));
  }

  const round = (x) => String(Number(x.toFixed(2)));
  const finite = (values) => values.filter((x) => x !== null);

  /* The curves [seeds][points] of one learning rate: means of the first and last losses that are finite, the deviation
     of the last ones, the highest loss, how many seeds are lost at the end, and the first point where one is. */
  function summary(curves) {
    const last = finite(curves.map((curve) => curve.at(-1)));
    return {
      first: mean(finite(curves.map((curve) => curve[0]))), last: mean(last), deviation: deviation(last),
      highest: Math.max(...finite(curves.flat())), lost: curves.length - last.length,
      lostAt: curves[0].findIndex((_, point) => curves.some((curve) => curve[point] === null)),
    };
  }

  /* The powers of ten around positive numbers, at most so many, for an axis. */
  function decades(values, most = 20) {
    const logs = values.filter((x) => x > 0).map(Math.log10);
    const from = Math.floor(Math.min(...logs)), to = Math.ceil(Math.max(from + 1, ...logs));
    return { from: 10 ** from, to: 10 ** Math.min(to, from + most), log: true };
  }

  const nearest = (places, x) => places.reduce((best, place, i) =>
    (Math.abs(place - x) < Math.abs(places[best] - x) ? i : best), 0);

  /* Refuse numbers that do not fit together. */
  function check({ rates, losses, epochs, kinds }) {
    const refuse = (what, got, expected) => {
      const error = new Error(`${what}: got ${got}, expected ${expected}`);
      throw Object.assign(error, { zh: `${what}：得到的是 ${got}，应为 ${expected}` });
    };
    const falls = rates.findIndex((rate, i) => !(rate > (rates[i - 1] ?? 0)));
    if (falls >= 0) refuse(`rates[${falls}]`, rates[falls], `> ${rates[falls - 1] ?? 0}`);
    for (const [name, list] of [["losses", losses], ["kinds", kinds]])
      if (list.length !== rates.length) refuse(`${name}.length`, list.length, `${rates.length} = rates.length`);
    losses.forEach((curves, i) => curves.forEach((curve, seed) => {
      const length = `${epochs.length} = epochs.length`;
      if (curve.length !== epochs.length) refuse(`losses[${i}][${seed}].length`, curve.length, length);
    }));
    const kind = kinds.findIndex((one) => !(one in KINDS));
    if (kind >= 0) refuse(`kinds[${kind}]`, `“${kinds[kind]}”`, Object.keys(KINDS).join(", "));
  }

  // --- the pictures ---------------------------------------------------------------------------------------

  function cross(context, x, y) {
    context.beginPath();
    for (const [dx, dy] of [[-1, -1], [1, 1], [0, 0], [-1, 1], [1, -1]]) context.lineTo(x + 4 * dx, y + 4 * dy);
    context.stroke();
  }

  /* A curve up to where it is no longer finite; there is a cross, at the top. */
  function drawCurve(context, at, epochs, curve) {
    const lost = curve.indexOf(null), points = lost < 0 ? curve : curve.slice(0, lost);
    context.beginPath();
    points.forEach((value, i) => context.lineTo(at.x(epochs[i]), Math.min(at.y(value), at.bottom)));
    context.stroke();
    if (lost >= 0) cross(context, at.x(epochs[lost]), at.top + 5);
  }

  function drawCurves(context, width, height, color, { losses, epochs, kinds }, axis, chosen) {
    const at = jaxnaive.frame(context, width, height, color, { from: 0, to: Math.ceil(epochs.at(-1)) }, axis);
    const draw = (i) => {
      context.strokeStyle = color[KINDS[kinds[i]][0]];
      for (const curve of losses[i]) drawCurve(context, at, epochs, curve);
    };
    context.beginPath();
    context.rect(at.left, at.top, at.right - at.left, at.bottom - at.top);
    context.clip();
    Object.assign(context, { globalAlpha: 0.2, lineWidth: 1, lineJoin: "round" });
    losses.forEach((_, i) => i !== chosen && draw(i));
    Object.assign(context, { globalAlpha: 1, lineWidth: 2.25 });
    draw(chosen);
  }

  /* The last losses over the learning rates: their mean, and each seed. */
  function drawLast(context, width, height, color, { rates, losses, kinds }, axis, chosen) {
    const at = jaxnaive.frame(context, width, height, color, decades(rates), axis);
    const dot = (x, y, radius) => {
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.fill();
    };
    rates.forEach((rate, i) => {
      const last = losses[i].map((curve) => curve.at(-1)), x = at.x(rate), paint = color[KINDS[kinds[i]][0]];
      Object.assign(context, { fillStyle: paint, strokeStyle: paint, lineWidth: 2, globalAlpha: 0.35 });
      for (const value of finite(last)) dot(x, at.y(value), 1.75);
      context.globalAlpha = 1;
      if (last.includes(null)) cross(context, x, at.top + 5);
      if (finite(last).length) dot(x, at.y(mean(finite(last))), i === chosen ? 6 : 3);
      if (i !== chosen) return;
      context.beginPath();
      context.moveTo(x, at.top);
      context.lineTo(x, at.bottom);
      Object.assign(context, { globalAlpha: 0.5, lineWidth: 1 });
      context.stroke();
    });
    return rates.map(at.x);
  }

  // --- the toy --------------------------------------------------------------------------------------------

  /* What is said of a learning rate, in both languages. */
  function sentence({ rates, losses, epochs, kinds }, chosen) {
    const { first, last, deviation, highest, lost, lostAt } = summary(losses[chosen]), seeds = losses[chosen].length;
    const [, en, zh] = KINDS[kinds[chosen]], [begin, end] = [epochs[0], epochs.at(-1)].map(round);
    const spread = Number(deviation.toPrecision(2));
    const result = [last, spread].filter(Number.isFinite).map(short).join(" ± ");
    const lines = [
      [`Learning rate ${plain(rates[chosen])}: ${en}.`, `学习率 ${plain(rates[chosen])}：${zh}。`],
      Number.isFinite(first) && [`Loss at epoch ${begin}: ${short(first)}.`, `第 ${begin} 轮的损失：${short(first)}。`],
      result && [`At epoch ${end}: ${result} (mean ± standard deviation of ${seeds - lost} seeds).`,
        `第 ${end} 轮：${result}（${seeds - lost} 个种子的均值 ± 标准差）。`],
      kinds[chosen] === "diverged" && Number.isFinite(highest) && [
        `The highest is ${short(highest)}.`, `最高 ${short(highest)}。`],
      lost && [`In ${lost} of ${seeds} seeds the loss is no finite number, first at epoch ${round(epochs[lostAt])}.`,
        `${seeds} 个种子中有 ${lost} 个的损失不再是有限的数，最早在第 ${round(epochs[lostAt])} 轮。`],
    ].filter(Boolean);
    return [lines.map((line) => line[0]).join(" "), lines.map((line) => line[1]).join("")];
  }

  /* The patch of colour of each kind, and its learning rates. */
  function legend({ rates, kinds }) {
    const entry = ([kind, [color, ...both]]) => {
      const found = rates.filter((_, i) => kinds[i] === kind), ends = [...new Set([found[0], found.at(-1)])].map(plain);
      const line = words(`${both[0]}: ${ends.join(" to ")}`, `${both[1]}：${ends.join(" 到 ")}`);
      return make("span", {}, jaxnaive.swatch(color), line);
    };
    return make("p", { class: "legend" }, ...Object.entries(KINDS).filter(([kind]) => kinds.includes(kind)).map(entry));
  }

  function start(element, numbers) {
    jaxnaive.guard(element, () => {
      check(numbers);
      const { rates, losses, kinds } = numbers, axis = decades(finite(losses.flat(2)), 4);
      let chosen = Math.max(0, kinds.indexOf("good")), places = [];
      const said = jaxnaive.said();
      const curves = jaxnaive.canvas(1.7, (...drawing) => drawCurves(...drawing, numbers, axis, chosen), 260);
      const last = jaxnaive.canvas(2, (...drawing) => (places = drawLast(...drawing, numbers, axis, chosen)), 260);
      const show = (i) => {
        chosen = i;
        rate.set(i);
        for (const picture of [curves, last]) picture.redraw();
        said.replaceChildren(words(...sentence(numbers, chosen)));
      };
      const rate = jaxnaive.slider({
        label: words("learning rate", "学习率"), min: 0, max: rates.length - 1, step: 1, value: chosen,
        show: (i) => plain(rates[i]), change: show,
      });
      const point = (event) => {
        if (event.type === "pointerdown" || event.buttons) show(nearest(places, event.offsetX));
      };
      for (const kind of ["pointerdown", "pointermove"]) last.element.addEventListener(kind, point);
      curves.element.setAttribute("aria-label", "loss over epochs / 损失随轮数的变化");
      last.element.setAttribute("aria-label", "last loss over learning rate / 最后的损失随学习率的变化");
      const figure = (picture, ...both) => make("figure", {}, make("figcaption", {}, words(...both)), picture.element);
      element.append(
        make("div", { class: "rates" }, figure(curves, "loss over epochs", "损失随轮数的变化"),
          figure(last, "last loss over learning rate", "最后的损失随学习率的变化")),
        rate.element, legend(numbers), said,
      );
      show(chosen);
    });
  }

  return { start, summary, decades, nearest, check, sentence };
})();
