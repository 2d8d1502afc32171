"use strict";
/* Optimizers to watch: three as balls on a curve, six as tracks down a valley. It needs no numbers.
   The rules are those of jaxnaive/optimizers.py, the curves and the valley those of experiments/optimizers.py. */
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

  /* Run, step, reset: `changed(moving)` is called when `player.now` is another step. */
  function player(last, changed) {
    const self = { now: 0, stop: () => {} };
    const to = (step, moving = false) => {
      self.now = Math.min(step, last);
      changed(moving && self.now < last);
      return self.now < last;
    };
    const run = () => {
      self.stop();
      if (self.now === last) self.now = 0;
      // faster after a while, when less happens in each step
      self.stop = jaxnaive.animate(() => to(self.now + 1 + Math.floor(self.now / 60), true));
    };
    const halt = (then) => () => (self.stop(), then());
    self.to = (step) => halt(() => to(step))();
    self.element = make(
      "div", { class: "tools" },
      jaxnaive.button(words("Run", "运行"), run),
      jaxnaive.button(words("Stop", "停止"), halt(() => changed(false))),
      jaxnaive.button(words("Step", "一步"), halt(() => to(self.now + 1))),
      jaxnaive.button(words("Reset", "回到起点"), halt(() => to(0))),
    );
    return self;
  }

  const emptyCells = () => [make("td"), make("td"), make("td")];
  const fill = (cells, texts) => texts.forEach((text, i) => (cells[i].textContent = text));
  const log = (power) => short(10 ** power);
  const fixed = (x, digits) => (Math.abs(x) < 1e4 ? x.toFixed(digits).replace(/^-(0\.0*)$/, "$1") : "∞");

  // --- balls on a curve -----------------------------------------------------------------------------------

  const STEPS = 1000, RADIUS = 9, FROM = -3.5, TO = 6;
  const BALLS = [
    ["sgd", "blue", ["plain descent", "普通梯度下降"]],
    ["momentum", "orange", ["heavy ball", "重球动量"]],
    ["nesterov", "green", ["Nesterov", "Nesterov 动量"]],
  ];

  function where(curve, w) {
    if (Math.abs(w - curve.place) < curve.width) return ["in the dent", "小坑里"];
    return Math.abs(w - 2) < 0.5 ? ["at the bottom of the bowl", "碗底"] : ["on the slope", "坡上"];
  }

  /* What becomes of a ball, in both languages. */
  function outcome(curve, path) {
    const step = restsAfter(path), end = path.at(-1)[0];
    const gone = path.findIndex(([w]) => !(Math.abs(w) < 100));
    if (gone >= 0) return ["flies away: the learning rate is too large", "飞走了：学习率太大"];
    const at = fixed(end, 2);
    if (step === null) return [`still moves after ${STEPS} steps, at ${at}`, `${STEPS} 步之后仍在动，位置 ${at}`];
    const [en, zh] = where(curve, end);
    return [`rests ${en}, at ${at}, after ${step} steps`, `${step} 步后停在${zh}，位置 ${at}`];
  }

  function drawBalls(context, width, height, color, curve, paths, now) {
    const at = jaxnaive.frame(context, width, height, color, { from: FROM, to: TO }, { from: -0.7, to: 4.8 });
    context.beginPath();
    context.rect(at.left, 0, at.right - at.left, at.bottom);
    context.clip();
    context.beginPath();
    for (let w = FROM; w < TO; w += 0.02) context.lineTo(at.x(w), at.y(loss(curve, w)));
    Object.assign(context, { lineWidth: 2, strokeStyle: color.ink, textAlign: "center", textBaseline: "middle" });
    context.stroke();
    const shown = [];
    paths.forEach((path, k) => {
      context.fillStyle = color[BALLS[k][1]];
      context.globalAlpha = 0.5;
      for (const [w] of path.slice(0, now + 1))
        context.fillRect(at.x(w) - 1.5, at.y(loss(curve, w)) - 3 * k - 5, 3, 3);
    });
    context.globalAlpha = 1;
    paths.forEach((path, k) => {
      const [w] = path[now], x = at.x(w);
      const below = shown.filter((other) => Math.abs(other - x) < 1.6 * RADIUS).length; // they pile up
      const y = at.y(loss(curve, w)) - RADIUS * (1 + 2 * below);
      shown.push(x);
      context.beginPath();
      context.arc(x, y, RADIUS, 0, 7);
      context.fillStyle = color[BALLS[k][1]];
      context.fill();
      context.fillStyle = color.paper;
      context.fillText(k + 1, x, y);
    });
  }

  function balls() {
    let curve = CURVES.shallow, paths;
    const said = jaxnaive.said(), cells = BALLS.map(emptyCells);
    const input = (en, zh, options) => jaxnaive.slider({ label: words(en, zh), change: () => settle(), ...options });
    const start = input("start", "起点", { min: -3, max: 5, step: 0.1, value: curve.start, show: (x) => x.toFixed(1) });
    const rate = input("learning rate", "学习率", { min: -3, max: 1, step: 0.01, value: Math.log10(0.05), show: log });
    const decay = input("momentum", "动量", { min: 0, max: 0.99, step: 0.01, value: 0.9, show: (x) => x.toFixed(2) });
    const draw = (...drawing) => drawBalls(...drawing, curve, paths, play.now);
    const picture = jaxnaive.canvas(2, draw, 260);
    picture.element.setAttribute("aria-label", "loss curve with balls / 损失曲线和小球");
    const play = player(STEPS, changed);

    function settle() {
      const gradient = ([w]) => [slope(curve, w)];
      paths = BALLS.map(([name]) => follow(name, 10 ** rate.value, gradient, [start.value], STEPS, decay.value));
      play.to(0);
    }

    function changed(moving) {
      picture.redraw();
      paths.forEach((path, k) => {
        const [w] = path[play.now];
        fill(cells[k], [fixed(w, 3), fixed(loss(curve, w), 3), restsAfter(path) ?? "–"]);
      });
      if (moving) return;
      const outcomes = paths.map((path) => outcome(curve, path));
      const line = (i, join) => BALLS.map(([, , names], k) => `${names[i]} ${outcomes[k][i]}`).join(join);
      const [en, zh] = play.now < STEPS ? [`step ${play.now}`, `第 ${play.now} 步`] : [line(0, "; "), line(1, "；")];
      said.replaceChildren(words(`${en[0].toUpperCase()}${en.slice(1)}.`, `${zh}。`));
    }

    const choice = jaxnaive.radios({
      label: words("curve", "曲线"), value: "shallow",
      options: [
        ["shallow", words("a dent on the way", "途中有小坑")],
        ["deep", words("a deeper dent, no run-up", "坑更深，没有助跑")],
        ["best", words("the dent is the best place", "坑底最低")],
      ],
      change: (name) => {
        curve = CURVES[name];
        start.set(curve.start);
        settle();
      },
    });
    settle();
    const columns = ["", words("place", "位置"), words("loss", "损失"), words("steps to rest", "停下所需步数")];
    const names = BALLS.map(([, color, both], k) =>
      make("span", {}, jaxnaive.swatch(color), `${k + 1} `, words(...both)));
    return make("div", {}, choice.element, picture.element, play.element, start.element, rate.element, decay.element,
      jaxnaive.table(columns, names.map((name, k) => [name, cells[k]])), said);
  }

  // --- tracks down a valley -------------------------------------------------------------------------------

  const LIMIT = 3000, SHOWN = 300, START = [2, 0.3];
  const TRACKS = { // colour, and the learning rate that is multiplied by the slider's factor
    sgd: ["ink", 0.018], momentum: ["orange", 0.01], nesterov: ["green", 0.01],
    adagrad: ["red", 0.3], rmsprop: ["#a060d0", 0.02], adam: ["blue", 0.1],
  };

  function drawValley(context, width, height, color, paths, now) {
    const at = jaxnaive.frame(context, width, height, color, { from: -2.4, to: 2.4 }, { from: -0.6, to: 0.6 });
    context.beginPath();
    context.rect(at.left, at.top, at.right - at.left, at.bottom - at.top);
    context.clip();
    Object.assign(context, { strokeStyle: color.faint, lineWidth: 1 });
    for (let level = 0.02; level < 40; level *= 2.5) { // ellipses, on which the loss is the same
      context.beginPath();
      const across = at.y(0) - at.y(Math.sqrt(2 * level / 100)), along = at.x(Math.sqrt(2 * level)) - at.x(0);
      context.ellipse(at.x(0), at.y(0), along, across, 0, 0, 7);
      context.stroke();
    }
    for (const [name, path] of Object.entries(paths)) {
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
    let paths = {};
    const names = Object.keys(TRACKS), on = new Set(names);
    const said = jaxnaive.said(), cells = names.map(emptyCells);
    const factor = jaxnaive.slider({
      label: words("rates times", "学习率乘以"), min: -1, max: 1, step: 0.02, value: 0, show: log, change: () => settle(),
    });
    const chosen = () => Object.fromEntries(Object.entries(paths).filter(([name]) => on.has(name)));
    const picture = jaxnaive.canvas(1.9, (...drawing) => drawValley(...drawing, chosen(), play.now), 260);
    picture.element.setAttribute("aria-label", "contour lines of a valley with tracks / 山谷的等高线和轨迹");
    const play = player(SHOWN, changed);

    const rate = (name) => TRACKS[name][1] * 10 ** factor.value;
    function settle() {
      for (const name of names) paths[name] = follow(name, rate(name), valleySlope, START, LIMIT);
      play.to(play.now);
    }

    function changed(moving) {
      picture.redraw();
      const losses = names.map((name) => valley(paths[name][play.now]));
      names.forEach((name, k) => {
        const now = losses[k] < 1e6 ? short(losses[k]) : "∞";
        fill(cells[k], [short(rate(name)), now, stepsToMillionth(paths[name]) ?? `> ${LIMIT}`]);
      });
      if (moving) return;
      const shown = losses.filter((x, k) => on.has(names[k]) && x < 1e6), lowest = Math.min(...shown);
      const step = [`Step ${play.now}`, `第 ${play.now} 步`];
      const best = names[losses.indexOf(lowest)];
      said.replaceChildren(!shown.length || !play.now ? words(`${step[0]}.`, `${step[1]}。`)
        : words(`${step[0]}: ${best} is lowest, loss ${short(lowest)}.`,
          `${step[1]}：${best} 最低，损失 ${short(lowest)}。`));
    }

    const boxes = names.map((name) => {
      const label = make("span", {}, jaxnaive.swatch(TRACKS[name][0]), name);
      return jaxnaive.checkbox(label, true, (checked) => {
        if (checked) on.add(name);
        else on.delete(name);
        changed(false);
      }).element;
    });
    play.now = 60;
    settle();
    const columns = [words("optimizer", "优化器"), words("rate", "学习率"), words("loss now", "当前损失"),
      words("steps to a millionth", "降到百万分之一的步数")];
    return make("div", {}, picture.element, play.element, factor.element,
      jaxnaive.table(columns, names.map((name, k) => [boxes[k], cells[k]])), said);
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
