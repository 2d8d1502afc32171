"use strict";
/* The plane and its maps x → A x + t: what they do to a figure, which of them are linear, why two of them are one, and
   how relu stops that. Its numbers are {points: [n][2]}, the corners of the figure. The rules are those of
   jaxnaive/geometry.py. */
jaxnaive.toys.plane = (() => {
  const { make, words } = jaxnaive;

  // --- the mathematics ------------------------------------------------------------------------------------

  const add = (x, y) => x.map((value, i) => value + y[i]);
  const scaled = (a, x) => x.map((value) => a * value);
  const difference = (x, y) => add(x, scaled(-1, y));
  const size = (x) => Math.hypot(...x);
  const relu = (x) => x.map((value) => Math.max(value, 0));
  const transform = (matrix, x) => matrix.map((row) => row.reduce((sum, value, i) => sum + value * x[i], 0));
  const transpose = (matrix) => matrix[0].map((_, j) => matrix.map((row) => row[j]));
  const product = (a, b) => transpose(transpose(b).map((column) => transform(a, column)));

  /* The map x → A x + t, {matrix, offset}: shear, then scaling, then rotation, then translation. */
  function affine({ degrees, scaleX, scaleY, shear, moveX, moveY }) {
    const angle = degrees * Math.PI / 180, cos = Math.cos(angle), sin = Math.sin(angle);
    const stretched = product([[scaleX, 0], [0, scaleY]], [[1, shear], [0, 1]]);
    return { matrix: product([[cos, -sin], [sin, cos]], stretched), offset: [moveX, moveY] };
  }

  const apply = ({ matrix, offset }, x) => add(transform(matrix, x), offset);

  /* The one map that does what `inner` and then `outer` do. */
  const compose = (outer, inner) => ({
    matrix: product(outer.matrix, inner.matrix), offset: apply(outer, inner.offset),
  });

  /* f(a x + b y) − (a f(x) + b f(y)): zero for all x, y, a, b if f is linear. */
  const gap = (f, x, y, a, b) =>
    difference(f(add(scaled(a, x), scaled(b, y))), add(scaled(a, f(x)), scaled(b, f(y))));

  const PLACES = Array.from({ length: 9 }, (_, i) => i / 2 - 2); // of the lines of a grid
  const GRID = PLACES.flatMap((y) => PLACES.map((x) => [x, y]));

  /* How far apart two functions are: the root of the mean squared distance over the grid. */
  const distance = (f, g) =>
    Math.sqrt(GRID.reduce((sum, x) => sum + size(difference(f(x), g(x))) ** 2, 0) / GRID.length);

  /* The map A x + t with the least distance to a function. Over the grid the coordinates have the mean 0 and are not
     correlated, so least squares need no equations to be solved. */
  function best(f) {
    const squares = GRID.reduce((sum, [x]) => sum + x * x, 0);
    const total = (weight) => GRID.reduce((sum, x) => add(sum, scaled(weight(x), f(x))), [0, 0]);
    const columns = [0, 1].map((i) => scaled(1 / squares, total((x) => x[i])));
    return { matrix: transpose(columns), offset: scaled(1 / GRID.length, total(() => 1)) };
  }

  // --- the picture ----------------------------------------------------------------------------------------

  const X = [1, 0.5], Y = [-0.5, 1], REACH = 3.4;

  /* A frame in which both axes have the same scale. */
  function frame(context, width, height, color) {
    const [across, up] = jaxnaive.inside(width, height), reach = REACH * across / up;
    const at = jaxnaive.frame(context, width, height, color, { from: -reach, to: reach }, { from: -REACH, to: REACH });
    context.beginPath();
    context.rect(at.left, at.top, at.right - at.left, at.bottom - at.top);
    context.clip();
    return ([x, y]) => [at.x(x), at.y(y)];
  }

  function shape(context, points, paint, { closed = true, dashes = [], width = 2, fill = 0 } = {}) {
    Object.assign(context, { strokeStyle: paint, fillStyle: paint, lineWidth: width });
    context.setLineDash(dashes);
    context.beginPath();
    for (const point of points) context.lineTo(...point);
    if (closed) context.closePath();
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = fill;
    context.fill();
    context.globalAlpha = 1;
  }

  /* A figure and the grid, and what a function makes of them. */
  function drawMap(context, place, color, figure, f) {
    const along = Array.from({ length: 81 }, (_, i) => i / 20 - 2);
    for (const fixed of PLACES) {
      for (const line of [along.map((x) => [x, fixed]), along.map((y) => [fixed, y])])
        shape(context, line.map((x) => place(f(x))), `color-mix(in srgb, ${color.blue} 45%, ${color.paper})`,
          { closed: false, width: 1 });
    }
    shape(context, figure.map(place), color.ink, { dashes: [2, 3] });
    shape(context, figure.map((x) => place(f(x))), color.blue, { width: 2.5, fill: 0.15 });
  }

  function dot(context, [x, y], paint, radius, fill) {
    Object.assign(context, { strokeStyle: paint, fillStyle: paint, lineWidth: 2.5 });
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    if (fill) context.fill();
    else context.stroke();
  }

  // --- the toy --------------------------------------------------------------------------------------------

  const SLIDERS = [ // name in the map, words, bounds
    ["degrees", "rotation", "旋转", { min: -180, max: 180, step: 5 }, (x) => `${x}°`],
    ["scaleX", "scaling x", "x 缩放", { min: -2, max: 2, step: 0.1 }],
    ["scaleY", "scaling y", "y 缩放", { min: -2, max: 2, step: 0.1 }],
    ["shear", "shear", "剪切", { min: -2, max: 2, step: 0.1 }],
    ["moveX", "translation x", "x 平移", { min: -2, max: 2, step: 0.1 }],
    ["moveY", "translation y", "y 平移", { min: -2, max: 2, step: 0.1 }],
  ];
  const IDENTITY = { degrees: 0, scaleX: 1, scaleY: 1, shear: 0, moveX: 0, moveY: 0 };
  const FIRST = { ...IDENTITY, degrees: 30, scaleX: 1.5 };
  const SECOND = { ...IDENTITY, degrees: -60, scaleY: 0.8, shear: 0.5, moveX: 0.5 };

  /* Rounding errors are no difference. */
  const exact = (x) => (Math.abs(x) < 1e-12 ? 0 : x);
  const number = (x) => (exact(Math.round(x * 100)) / 100 + 0).toFixed(2).replace("-", "−");
  const short = (x) => jaxnaive.short(exact(x)).replace("-", "−");
  const vector = (x) => `(${x.map(short).join(", ")})`;
  const cell = (text) => make("td", {}, text);
  const block = (matrix) => make("span", { class: "block" },
    ...matrix.map((row) => make("span", {}, ...row.map((x) => make("span", {}, number(x))))));
  const cells = ({ matrix, offset }) => [cell(block(matrix)), cell(block(offset.map((x) => [x])))];

  function checked(points) {
    const fine = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);
    const wrong = Array.isArray(points) && points.length ? points.find((point) => !fine(point)) : points ?? null;
    if (wrong === undefined) return points;
    const got = JSON.stringify(wrong);
    throw Object.assign(new Error(`plane: got ${got}, expected points [[x, y], ...] of finite numbers.`),
      { zh: `plane：得到的是 ${got}，应为由有限的数组成的点 [[x, y], ...]。` });
  }

  function start(element, numbers) {
    jaxnaive.guard(element, () => build(element, checked(numbers.points)));
  }

  function build(element, figure) {
    const layers = [{ ...FIRST }, { ...SECOND }], law = { a: 1, b: 1 };
    let two = false, layer = 0, between = false;
    const [first, second] = [0, 1].map((i) => (x) => apply(affine(layers[i]), x));
    const both = (x) => second(between ? relu(first(x)) : first(x));

    const picture = jaxnaive.canvas(1.6, draw, 310), said = jaxnaive.said(), result = make("div", { class: "result" });
    picture.element.setAttribute("aria-label", "a figure and its image / 图形和它的像");
    const slider = (target, [name, en, zh, bounds, show = (x) => x.toFixed(1).replace("-", "−")]) => jaxnaive.slider({
      label: words(en, zh), ...bounds, value: target()[name], show, change: (x) => ((target()[name] = x), redraw()),
    });
    const sliders = SLIDERS.map((one) => slider(() => layers[layer], one));
    const laws = ["a", "b"].map((name) => slider(() => law, [name, name, name, { min: -2, max: 2, step: 0.1 }]));
    const reset = () => {
      sliders.forEach((one, i) => one.set(layers[layer][SLIDERS[i][0]]));
      redraw();
    };
    const choose = (to) => {
      layer = to;
      reset();
    };

    function draw(context, width, height, color) {
      const place = frame(context, width, height, color), f = two ? both : first;
      drawMap(context, place, color, figure, f);
      if (two) {
        const single = best(both);
        shape(context, figure.map((x) => place(apply(single, x))), color.orange, { dashes: [8, 5], width: 3 });
      } else {
        const { a, b } = law, ends = [f(add(scaled(a, X), scaled(b, Y))), add(scaled(a, f(X)), scaled(b, f(Y)))];
        shape(context, ends.map(place), color.red, { closed: false });
        dot(context, place(ends[0]), color.orange, 5, true);
        dot(context, place(ends[1]), color.green, 9, false);
      }
    }

    function redraw() {
      picture.redraw();
      const [table, lines] = two ? collapse() : linearity();
      result.replaceChildren(table);
      said.replaceChildren(words(...lines));
    }

    function linearity() {
      const map = affine(layers[0]), { a, b } = law, z = add(scaled(a, X), scaled(b, Y));
      const apart = size(gap(first, X, Y, a, b)), still = map.offset.every((value) => value === 0);
      const row = (color, name, text) => [make("span", {}, jaxnaive.swatch(color), name), [cell(text)]];
      const table = jaxnaive.table(["", words("value", "值")], [
        ["A", cells(map).slice(0, 1)], ["t", cells(map).slice(1)],
        row("orange", "f(ax + by)", vector(first(z))),
        row("green", "a f(x) + b f(y)", vector(add(scaled(a, first(X)), scaled(b, first(Y))))),
        row("red", words("distance between both", "两者的距离"), short(apart)),
      ]);
      const at = [`x = ${vector(X)}, y = ${vector(Y)}: `, `x = ${vector(X)}，y = ${vector(Y)}：`];
      const lines = exact(apart) ? [
        `the distance is ${short(apart)}. f moves the origin, so it is affine and not linear.`,
        `距离是 ${short(apart)}。f 移动了原点，所以它是仿射的，不是线性的。`]
        : still ? ["the distance is 0, whatever a and b are. f is linear.", "不论 a、b 取何值，距离都是 0。f 是线性的。"]
        : ["the distance is 0, but only because a + b = 1. f moves the origin, so it is not linear.",
          "距离是 0，但只是因为 a + b = 1。f 移动了原点，所以不是线性的。"];
      return [table, at.map((text, i) => text + lines[i])];
    }

    function collapse() {
      const [one, other] = layers.map(affine), single = best(both), whole = compose(other, one);
      const away = [whole, single].map((map) => distance(both, (x) => apply(map, x)));
      const table = jaxnaive.table(["", "A", "t", words("distance to the two layers", "与这两层的距离")], [
        [words("first layer", "第一层"), [...cells(one), cell("")]],
        [words("second layer", "第二层"), [...cells(other), cell("")]],
        [words("A₂A₁, A₂t₁ + t₂", "A₂A₁，A₂t₁ + t₂"), [...cells(whole), cell(short(away[0]))]],
        [make("span", {}, jaxnaive.swatch("orange"), words("best single layer", "最好的单层")),
          [...cells(single), cell(short(away[1]))]],
      ]);
      const lines = !between ? ["Two layers are one: its matrix is A₂A₁, its offset A₂t₁ + t₂, and the distance is 0.",
        "两层就是一层：矩阵是 A₂A₁，偏置是 A₂t₁ + t₂，距离是 0。"]
        : exact(away[1]) ? [
          `With relu between them they are no longer one: even the best single layer is ${short(away[1])} away.`,
          `中间有 relu，两层不再是一层：最好的单层也还差 ${short(away[1])}。`]
        : ["A single layer still does the same on this grid. Move the first layer until its image crosses an axis.",
          "在这个网格上单层还能做到同样的事。移动第一层，让它的像跨过坐标轴。"];
      return [table, lines];
    }

    const relus = jaxnaive.checkbox(words("relu between them", "中间加 relu"), false, (on) => {
      between = on;
      redraw();
    });
    const which = jaxnaive.radios({
      label: words("sliders move", "滑块控制"), value: 0, change: choose,
      options: [[0, words("the first layer", "第一层")], [1, words("the second layer", "第二层")]],
    });
    const view = jaxnaive.radios({
      label: words("to see", "看什么"), value: false, change: show,
      options: [[false, words("one map", "一个映射")], [true, words("two layers", "两层")]],
    });
    function show(to) {
      two = to;
      which.element.hidden = relus.element.hidden = !two;
      for (const one of laws) one.element.hidden = two;
      which.set(0);
      choose(0);
    }
    const back = jaxnaive.button(words("Identity", "恒等映射"), () => {
      Object.assign(layers[layer], IDENTITY);
      reset();
    });
    element.classList.add("plane");
    element.append(view.element, picture.element,
      make("p", { class: "legend" }, words("dotted: the figure; ", "虚线：图形；"), jaxnaive.swatch("blue"),
        words("its image, and the grid's", "它的像和网格的像")),
      make("div", { class: "tools" }, which.element, relus.element, back),
      ...[...sliders, ...laws].map((one) => one.element), said, result);
    show(false);
  }

  return { start, affine, apply, compose, gap, best, distance, relu, GRID };
})();
