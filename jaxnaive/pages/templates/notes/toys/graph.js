"use strict";
/* An expression as a graph: values forwards, gradients backwards, one step at a time, and along every path.
   Its numbers are {expression: text, leaves: {name: value}}. The rules are those of jaxnaive/rules.py. */
jaxnaive.toys.graph = (() => {
  const { make, words } = jaxnaive;
  const short = (x) => jaxnaive.short(x).replaceAll("-", "−");
  const bracketed = (x) => (x < 0 ? `(${short(x)})` : short(x));

  // --- the mathematics ------------------------------------------------------------------------------------

  /* For each operation: its sign, its value, and the slopes by its operands from the value y and the operands. */
  const RULES = {
    "+": ["+", (a, b) => a + b, () => [1, 1]],
    "-": ["−", (a, b) => a - b, () => [1, -1]],
    "*": ["×", (a, b) => a * b, (y, a, b) => [b, a]],
    "/": ["÷", (a, b) => a / b, (y, a, b) => [1 / b, -a / (b * b)]],
    negative: ["−", (a) => -a, () => [-1]],
    relu: ["relu", (a) => Math.max(a, 0), (y, a) => [a > 0 ? 1 : 0]],
    exp: ["exp", Math.exp, (y) => [y]],
    log: ["log", Math.log, (y, a) => [1 / a]],
    tanh: ["tanh", Math.tanh, (y) => [1 - y * y]],
    abs: ["abs", Math.abs, (y, a) => [a >= 0 ? 1 : -1]],
  };
  const FUNCTIONS = ["relu", "exp", "log", "tanh", "abs"];
  const LONGEST = 200; // characters of an expression
  const PLAIN = { "（": "(", "）": ")", "｜": "|", "×": "*", "·": "*", "÷": "/", "−": "-", "＋": "+", "＝": "=" };

  /* The nodes of an expression, operands before what uses them, the result last. A node is
     {op, operands: [places of nodes], text, moves: whether it changes with a leaf}, a leaf also has a name and a number
     a value. */
  function parse(expression) {
    const source = expression.replace(/[（）｜×·÷−＋＝]/g, (sign) => PLAIN[sign]);
    const nodes = [], leaves = new Map();
    let at = 0;

    function fail(en, zh, place = at) {
      const got = place < source.length ? `“${/\w+|[^]/yu.exec(source.slice(place))[0]}”` : null;
      const error = new Error(`character ${place + 1}: got ${got ?? "the end"}, expected ${en}`);
      throw Object.assign(error, { zh: `第 ${place + 1} 个字符：得到的是${got ?? "结尾"}，应为${zh}`, place });
    }
    const space = () => (at += /\s*/y.exec(source.slice(at))[0].length);
    const take = (pattern) => {
      space();
      const [found] = pattern.exec(source.slice(at)) ?? [null];
      at += found?.length ?? 0;
      return found;
    };
    const add = (op, operands, start, more = {}) => {
      const moves = op === "leaf" || operands.some((i) => nodes[i].moves);
      return nodes.push({ op, operands, text: source.slice(start, at).trim(), moves, ...more }) - 1;
    };

    function chain(pattern, next) { // a - b - c is (a - b) - c
      space();
      const start = at;
      let left = next();
      for (let op; (op = take(pattern)); ) left = add(op, [left, next()], start);
      return left;
    }
    const sum = () => chain(/^[+-]/, product);
    const product = () => chain(/^[*/]/, factor);
    const inside = (close) => {
      const result = sum();
      if (!take(close === ")" ? /^\)/ : /^\|/)) fail(`an operation or “${close}”`, `运算符或“${close}”`);
      return result;
    };

    function factor() {
      space();
      const start = at;
      if (take(/^-/)) return add("negative", [factor()], start);
      if (take(/^\(/)) return inside(")");
      if (take(/^\|/)) return add("abs", [inside("|")], start);
      const number = take(/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i);
      if (number) return add("number", [], start, { value: Number(number) });
      const name = take(/^[\p{L}_][\p{L}\p{N}_]*/u);
      if (!name) fail("a number, a name, a function or “(”", "数、变量名、函数或“(”");
      const opens = take(/^\(/);
      if (FUNCTIONS.includes(name)) return opens ? add(name, [inside(")")], start) : fail("“(”", "“(”");
      if (opens) fail(`one of the functions ${FUNCTIONS.join(", ")}`, `函数 ${FUNCTIONS.join("、")} 之一`, start);
      if (!leaves.has(name)) leaves.set(name, add("leaf", [], start, { name }));
      return leaves.get(name);
    }

    if (source.length > LONGEST) fail(`at most ${LONGEST} characters`, `至多 ${LONGEST} 个字符`, LONGEST);
    sum();
    space();
    if (at < source.length) fail("an operation or the end", "运算符或结尾");
    return nodes;
  }

  /* The value of every node, from {name: value}. */
  function evaluate(nodes, leaves) {
    const values = [];
    for (const { op, operands, name, value } of nodes) {
      if (op === "leaf") values.push(leaves[name]);
      else values.push(op === "number" ? value : RULES[op][1](...operands.map((i) => values[i])));
    }
    return values;
  }

  /* For each node the slopes by its operands. */
  const slopes = (nodes, values) => nodes.map(({ op, operands }, i) =>
    operands.length ? RULES[op][2](values[i], ...operands.map((k) => values[k])) : []);

  const operations = (nodes) => nodes.flatMap(({ operands }, i) => (operands.length ? [i] : []));

  /* The operations in the order of the walk backwards: those that change with a leaf, the result first. */
  const walk = (nodes) => operations(nodes).filter((i) => nodes[i].moves).reverse();

  /* How fast the result grows with each node, after `steps` operations of the walk; null where it has not been. */
  function backward(nodes, values, steps = Infinity) {
    const gradients = nodes.map(() => null), slope = slopes(nodes, values);
    if (nodes.at(-1).moves) gradients[nodes.length - 1] = 1;
    for (const i of walk(nodes).slice(0, steps)) {
      nodes[i].operands.forEach((k, slot) => {
        if (nodes[k].moves) gradients[k] = (gradients[k] ?? 0) + gradients[i] * slope[i][slot];
      });
    }
    return gradients;
  }

  /* Every path from a node to the result: {edges: [[node, slot], ...], slopes, product}. */
  function paths(nodes, values, from) {
    const slope = slopes(nodes, values), found = [];
    const climb = (node, edges) => {
      if (node === from) {
        const along = edges.map(([i, slot]) => slope[i][slot]);
        found.push({ edges, slopes: along, product: along.reduce((a, b) => a * b, 1) });
      }
      nodes[node].operands.forEach((k, slot) => climb(k, [[node, slot], ...edges]));
    };
    climb(nodes.length - 1, []);
    return found;
  }

  // --- the picture ----------------------------------------------------------------------------------------

  /* Places of the nodes, {level, row}, and for each edge the places it passes. Levels go from leaves to result. */
  function layout(nodes) {
    const spots = nodes.map((_, i) => ({ level: 0, row: i / 2, order: i, near: [] }));
    const uses = nodes.map((_, i) => nodes.flatMap(({ operands }, k) => operands.filter((j) => j === i).map(() => k)));
    const first = []; // of the nodes that only this one uses
    nodes.forEach(({ operands }, i) => {
      spots[i].level = Math.max(0, ...operands.map((k) => spots[k].level + 1));
      first.push(Math.min(uses[i].length > 1 ? nodes.length : i, ...operands.map((k) => first[k])));
    });
    nodes.forEach(({ operands }, i) => { // a leaf stands just before its first use
      if (uses[i].length && !operands.length) spots[i].level = Math.min(...uses[i].map((k) => spots[k].level)) - 1;
    });
    const all = [...spots], edges = [];
    nodes.forEach(({ operands }, i) => operands.forEach((k, slot) => {
      const way = [spots[k]], side = slot - (operands.length - 1) / 2;
      const before = Math.min(i, first[operands.at(-1)]);
      const after = nodes[operands[0]].operands.length ? operands[0] : i - 1;
      const order = slot === 0 ? before - 0.5 : after + 0.5;
      for (let level = spots[k].level + 1; level < spots[i].level; level++) // it passes other nodes by
        way.push({ level, row: (spots[k].row + spots[i].row) / 2, order, near: [], between: true });
      all.push(...way.slice(1));
      way.push(spots[i]);
      way.slice(1).forEach((next, j) => {
        next.near.push([way[j], 0]);
        way[j].near.push([next, next === spots[i] ? side / 2 : 0]);
      });
      edges.push({ from: k, to: i, side, way });
    }));
    for (let pass = 0; pass < 40; pass++) { // each goes to the middle of what it is joined to, a row from the next
      for (let level = 0; level <= spots.at(-1).level; level++) {
        const here = all.filter((spot) => spot.level === level).sort((a, b) => a.order - b.order);
        for (const spot of here) {
          const wanted = spot.near.map(([other, shift]) => other.row + shift);
          spot.wanted = wanted.length ? wanted.reduce((a, b) => a + b) / wanted.length : 0;
        }
        here.forEach((spot, j) => {
          const gap = j && (spot.between || here[j - 1].between ? 0.75 : 1);
          spot.row = j ? Math.max(spot.wanted, here[j - 1].row + gap) : spot.wanted;
        });
        const shift = here.reduce((sum, spot) => sum + spot.row - spot.wanted, 0) / here.length;
        for (const spot of here) spot.row -= shift;
      }
    }
    const top = Math.min(...all.map(({ row }) => row));
    for (const spot of all) spot.row -= top;
    return { spots, edges, levels: spots.at(-1).level, rows: Math.max(...all.map(({ row }) => row)) };
  }

  const WIDTH = 80, HEIGHT = 62; // of a node

  /* The drawing, from left to right, or upright where this is too wide. `shown` says what is on it. */
  function draw(nodes, plan, room, shown) {
    const upright = plan.levels * 138 + WIDTH + 12 > room;
    const [stepX, stepY] = upright ? [WIDTH + 18, HEIGHT + 46] : [138, HEIGHT + 16];
    const place = ({ level, row }) => (upright ? [row * stepX, level * stepY] : [level * stepX, row * stepY]);
    const middle = (spot) => place(spot).map((x, i) => x + [WIDTH, HEIGHT][i] / 2 + 6);
    const [width, height] = place({ level: plan.levels, row: plan.rows }).map((x, i) => x + [WIDTH, HEIGHT][i] + 12);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img" });
    const along = (x, y, d) => (upright ? [x, y + d] : [x + d, y]); // d pixels towards the result
    const across = (x, y, d) => (upright ? [x + d, y] : [x, y + d]);
    const corner = (x, y) => ({ x: x - WIDTH / 2, y: y - HEIGHT / 2 });
    const half = (upright ? HEIGHT : WIDTH) / 2, labels = [];
    for (const { to, side, way } of plan.edges) {
      const slot = side > 0 ? 1 : 0, points = way.map(middle);
      const end = across(...along(...points.at(-1), -half), 26 * side);
      const mark = `${shown.marked.includes(`${to},${slot}`) ? "marked" : ""} ${shown.active === to ? "active" : ""}`;
      let [x, y] = along(...points[0], half), d = `M ${x} ${y}`;
      [...points.slice(1, -1), along(...end, -7)].forEach((point) => {
        const bend = (upright ? point[1] - y : point[0] - x) / 2;
        d += ` C ${along(x, y, bend)} ${along(...point, -bend)} ${point}`;
        [x, y] = point;
      });
      const head = [end, across(...along(...end, -9), 4.5), across(...along(...end, -9), -4.5)].join(" ");
      svg.append(make("path", { d, class: `edge ${mark}` }), make("polygon", { points: head, class: `head ${mark}` }));
      const slope = shown.slope(to, slot);
      const out = side > 0 || (upright && side === 0) ? 1 : -1; // the label is outside of the pair of edges
      const [x1, y1] = upright ? [end[0] + 6 * out, end[1] - 14] : [end[0] - 10, end[1] + 11 * out];
      const anchor = `text-anchor: ${upright && out > 0 ? "start" : "end"}`;
      const label = { x: x1, y: y1, class: "slope", style: anchor };
      if (slope !== null) labels.push(make("text", label, `×${short(slope)}`));
    }
    nodes.forEach((node, i) => {
      const [x, y] = middle(plan.spots[i]);
      const kind = ["leaf", "number"].includes(node.op) ? node.op : "operation";
      const value = shown.value(i), gradient = shown.gradient(i);
      const line = (text, row, name) => make("text", { x, y: y + row, class: name }, text);
      svg.append(make("g", { class: `node ${kind} ${shown.active === i ? "active" : ""}` },
        make("title", {}, node.text),
        make("rect", { ...corner(x, y), width: WIDTH, height: HEIGHT, rx: kind === "operation" ? 8 : 20 }),
        line(node.op === "number" ? "" : clip(node.name ?? RULES[node.op][0]), -18, "name"),
        line(value === null ? "" : short(value), 1, "value"),
        line(gradient === null ? "" : short(gradient), 19, "gradient")));
    });
    svg.append(...labels);
    return svg;
  }

  const clip = (text, length = 10) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

  // --- what is said about a step --------------------------------------------------------------------------

  const written = ({ op, operands }, values) => {
    const [a, b] = operands.map((i) => values[i]);
    if (op === "negative") return `−${bracketed(a)}`;
    return b === undefined ? `${op}(${short(a)})` : `${bracketed(a)} ${RULES[op][0]} ${bracketed(b)}`;
  };

  /* A step of the walk backwards, in both languages. */
  function describe(nodes, values, i, before, after) {
    const slope = slopes(nodes, values)[i], operands = [...new Set(nodes[i].operands)].filter((k) => nodes[k].moves);
    const line = (get, and, all) => operands.map((k) => {
      const parts = slope.filter((_, slot) => nodes[i].operands[slot] === k);
      const gets = parts.map((part) => `${bracketed(before[i])} × ${bracketed(part)} = ${short(before[i] * part)}`);
      const many = before[k] !== null || parts.length > 1; // it is reached by more than one edge
      return `${nodes[k].text} ${get} ${gets.join(and)}${many ? `${all} ${short(after[k])}` : ""}`;
    });
    const [en, zh] = [line("gets", " and ", ", in all").join("; "), line("得到", " 和 ", "，共").join("；")];
    return [`Backwards through ${nodes[i].text}: ${en}.`, `反向经过 ${nodes[i].text}：${zh}。`];
  }

  /* What is seen at each step: {active: a node, gradients: as far as they are known, passed: the operations of the walk
     backwards so far, said: [English, Chinese]}. First one for each operation forwards, and then backwards. */
  function steps(nodes, values) {
    const none = nodes.map(() => null), result = short(values.at(-1)), backwards = walk(nodes);
    const all = [{ said: ["The leaves have their values. Next: forwards.", "叶子上已经有值。下一步：向前计算。"] }];
    for (const i of operations(nodes)) {
      const line = `${nodes[i].text} = ${written(nodes[i], values)} = ${short(values[i])}`;
      all.push({ active: i, said: [`Forwards: ${line}.`, `向前：${line}。`] });
    }
    const end = nodes.at(-1).moves ? { active: nodes.length - 1, gradients: backward(nodes, values, 0), said: [
      `The result is ${result}. Backwards starts here: its gradient by itself is 1.`,
      `结果是 ${result}。反向从这里开始：结果对自己的梯度是 1。`] }
      : { said: [`The result is ${result}. It has no leaf, so there is no gradient.`,
        `结果是 ${result}。没有叶子，所以没有梯度。`] };
    all.push(end);
    backwards.forEach((active, k) => {
      const gradients = backward(nodes, values, k + 1);
      const said = describe(nodes, values, active, all.at(-1).gradients, gradients);
      if (k === backwards.length - 1) said.forEach((text, i) => (said[i] = text + [" Done.", "完成。"][i]));
      all.push({ active, gradients, passed: backwards.slice(0, k + 1), said });
    });
    return all.map((step) => ({ active: null, gradients: none, passed: [], ...step }));
  }

  // --- the toy --------------------------------------------------------------------------------------------

  const EXAMPLES = [
    "x * x + x", "relu(x * w + b)", "(1 - tanh(x * w)) * v", "exp(x) / (exp(x) + exp(y))", "log(1 + exp(-x))",
  ];

  function start(element, numbers) {
    const known = Object.assign(Object.create(null), numbers.leaves); // values of all leaves so far
    let nodes = [], plan, chosen = null; // of the current expression; `chosen` is a path
    const input = make("input", {
      type: "text", spellcheck: "false", autocapitalize: "off", autocomplete: "off", size: 24,
      value: numbers.expression,
    });
    const wrong = make("p", { class: "wrong", role: "alert" }), said = jaxnaive.said();
    const picture = make("div", { class: "picture" }), sliders = make("div"), list = make("div", { class: "paths" });
    const walker = jaxnaive.stepper(() => steps(nodes, evaluate(nodes, known)).length - 1, redraw);
    const choose = () => {
      input.value = examples.value || input.value;
      build();
    };
    const examples = make("select", { "aria-label": "examples / 例子", onchange: choose },
      make("option", { value: "" }, "examples / 例子"),
      ...[numbers.expression, ...EXAMPLES].map((text) => make("option", {}, text)));

    function build() {
      try {
        nodes = parse(input.value);
        wrong.replaceChildren();
      } catch (error) {
        return wrong.replaceChildren(words(`${error.message}.`, `${error.zh}。`));
      }
      [plan, chosen] = [layout(nodes), null];
      sliders.replaceChildren(...nodes.filter(({ op }) => op === "leaf").map(({ name }) => {
        known[name] ??= 1;
        const size = Math.max(5, Math.ceil(Math.abs(known[name])));
        const change = (value) => ((known[name] = value), redraw());
        const range = { min: -size, max: size, step: 0.1, value: known[name] };
        const slider = jaxnaive.slider({ label: name, ...range, show: short, change });
        known[name] = slider.value;
        return slider.element;
      }));
      walker.to(0);
    }

    function redraw() {
      if (!nodes.length) return;
      const values = evaluate(nodes, known), forwards = operations(nodes), slope = slopes(nodes, values);
      const { active, gradients, passed, said: lines } = steps(nodes, values)[walker.at];
      picture.replaceChildren(draw(nodes, plan, picture.clientWidth || 600, {
        active, marked: chosen?.split(" ") ?? [],
        value: (i) => (forwards.indexOf(i) < walker.at ? values[i] : null),
        gradient: (i) => gradients[i],
        slope: (i, slot) => {
          const seen = nodes[nodes[i].operands[slot]].moves && (chosen !== null || passed.includes(i));
          return seen ? slope[i][slot] : null;
        },
      }));
      picture.firstChild.setAttribute("aria-label", `${nodes.at(-1).text} = ${short(values.at(-1))}`);
      said.replaceChildren(words(...lines));
      list.replaceChildren(...nodes.flatMap(({ op }, i) => (op === "leaf" ? [pathsFrom(i, values)] : [])));
    }

    /* A button for each path from a leaf, and their sum. */
    function pathsFrom(leaf, values) {
      const found = paths(nodes, values, leaf), products = found.map(({ product }) => product);
      const buttons = found.map(({ edges, slopes: along, product }) => {
        const path = edges.join(" "), names = [nodes[leaf].name, ...edges.map(([i]) => RULES[nodes[i].op][0])];
        const press = () => {
          chosen = chosen === path ? null : path;
          redraw();
          list.querySelector(`[data-path="${path}"]`).focus();
        };
        const factors = along.map(bracketed).join(" × ");
        const pressed = String(chosen === path);
        return make("button", { type: "button", "data-path": path, "aria-pressed": pressed, onclick: press },
          make("span", {}, names.join(" → ")), make("span", {}, `${factors}${factors && " = "}${short(product)}`));
      });
      const sum = found.length > 1 ? `${products.map(bracketed).join(" + ")} = ` : "";
      return make("div", {}, ...buttons, make("p", {}, words("gradient by ", "对 "), make("b", {}, nodes[leaf].name),
        words(": ", " 的梯度："), `${sum}${short(products.reduce((a, b) => a + b, 0))}`));
    }

    const form = make("form", { class: "tools", onsubmit: (event) => (event.preventDefault(), build()) },
      make("label", {}, words("expression", "表达式"), input), make("button", {}, words("Draw", "画图")), examples);
    const legend = make("p", { class: "legend" }, make("b", { class: "value" }, words("value", "值")), " · ",
      make("b", { class: "gradient" },
        words("gradient: how fast the result grows with it", "梯度：结果随它变化得有多快")), " · ",
      make("b", { class: "slope" }, words("× slope of the edge", "× 这条边的导数")));
    element.classList.add("graph");
    element.append(form, wrong, walker.element, said, picture, legend, sliders,
      make("p", { class: "heading" }, words(
        "Every path to the result: multiply the slopes along it, then add the paths. Choose one to see it.",
        "到结果的每条路径：沿路径把导数相乘，再把各路径相加。点一条，就在图上标出来。")), list);
    build();
    let width = element.clientWidth;
    new ResizeObserver(() => {
      if (width !== element.clientWidth) redraw();
      width = element.clientWidth;
    }).observe(element);
  }

  return { start, parse, evaluate, slopes, backward, paths, layout, steps };
})();
