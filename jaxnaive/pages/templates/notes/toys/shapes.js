"use strict";
/* Two shapes, as one types them: what broadcasting and dot make of them, step by step, or the rule that they break.
   It needs no numbers. The rules are those of jaxnaive/operations.py. */
jaxnaive.toys.shapes = (() => {
  const { make, words } = jaxnaive;

  // --- the rules ------------------------------------------------------------------------------------------

  const MOST = 6, LONGEST = 1e9; // axes of a shape, and the length of one

  /* The shape in a text such as "64, 3, 32, 10", "(5,)" or "()". */
  function read(text) {
    const inner = text.trim().replace(/^[([（［](.*)[)\]）］]$/s, "$1").trim().replace(/[,，]$/, "");
    const parts = inner === "" ? [] : inner.split(/[,，]/).map((part) => part.trim());
    const wrong = parts.find((part) => !/^\d+$/.test(part) || Number(part) > LONGEST);
    const many = parts.length > MOST;
    if (wrong === undefined && !many) return parts.map(Number);
    const got = many ? `${parts.length} axes` : `“${wrong}”`, gotZh = many ? `${parts.length} 个轴` : `“${wrong}”`;
    const expected = many ? `at most ${MOST}` : "whole numbers with commas between them, such as 64, 3, 32, 10";
    const expectedZh = many ? `至多 ${MOST} 个` : "用逗号隔开的非负整数，例如 64, 3, 32, 10";
    throw Object.assign(new Error(`got ${got}, expected ${expected}`), { zh: `得到的是${gotZh}，应为${expectedZh}` });
  }

  /* Broadcasting: {padded: both shapes with as many axes, shape: the result, or null, broken: the last axis, counted
     from 0, whose lengths do not fit, or -1}. */
  function broadcast(a, b) {
    const rank = Math.max(a.length, b.length);
    const padded = [a, b].map((shape) => [...Array(rank - shape.length).fill(1), ...shape]);
    const shape = padded[0].map((x, i) => (x === 1 ? padded[1][i] : x));
    const broken = padded[0].findLastIndex((x, i) => x !== padded[1][i] && x !== 1 && padded[1][i] !== 1);
    return { padded, shape: broken < 0 ? shape : null, broken };
  }

  /* dot: the last axis of the first shape is summed with the first axis of the second; null if they do not fit. */
  function dot(a, b) {
    const fits = a.length > 0 && b.length > 0 && a.at(-1) === b[0];
    return { shape: fits ? [...a.slice(0, -1), ...b.slice(1)] : null };
  }

  // --- the steps ------------------------------------------------------------------------------------------

  /* As Python writes it. */
  const tuple = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const size = (shape) => shape.reduce((x, y) => x * y, 1);
  const entries = (shape) => `${size(shape)} ${size(shape) === 1 ? "entry" : "entries"}`;
  const cell = (text, kind = "") => ({ text: String(text), kind });
  const cells = (shape, kind) => shape.map((length) => cell(length, kind));
  const calm = (rows) => rows.map((row) => row.map((one) => (one.kind === "active" ? cell(one.text) : one)));
  const blanks = (count) => Array.from({ length: Math.max(0, count) }, () => cell("", "blank"));

  /* What is seen after each step: {rows: the cells of both shapes and the result, said: [English, Chinese]}. */
  function broadcastSteps(a, b) {
    const { padded, shape, broken } = broadcast(a, b), rank = padded[0].length;
    const left = [a, b].map((one) => [...cells(one), ...blanks(rank - one.length)]);
    const right = [a, b].map((one) => [...blanks(rank - one.length), ...cells(one)]);
    const added = [a, b].map((one) => [...cells(padded[0].slice(one.length).fill(1), "added"), ...cells(one)]);
    const fewer = a.length < b.length ? ["the first shape", "第一个形状"] : ["the second shape", "第二个形状"];
    const steps = [
      { rows: [...left, []], said: [
        `${tuple(a)} and ${tuple(b)}: do they fit?`, `${tuple(a)} 和 ${tuple(b)}：能广播吗？`] },
      { rows: [...right, []], said: ["Align the shapes at their last axes.", "从最后一个轴开始对齐。"] },
      { rows: [...added, []], said: a.length === b.length
        ? [`Both have rank ${rank}: no axis is added.`, `两者都是 ${rank} 阶：不需要添加轴。`]
        : [`Add axes of length 1 in front of ${fewer[0]}, until both have rank ${rank}.`,
          `在${fewer[1]}前面添加长度为 1 的轴，直到两者都是 ${rank} 阶。`] },
    ];
    for (let i = rank - 1; i >= Math.max(0, broken); i--) {
      const [x, y] = [padded[0][i], padded[1][i]], rows = calm(steps.at(-1).rows);
      const length = x === 1 ? y : x, axis = i - rank;
      if (!rows[2].length) rows[2] = blanks(rank);
      let said = [`both have length ${x}, and so has the result`, `两者长度都是 ${x}，结果也是 ${x}`];
      if (i === broken) {
        said = [`${x} and ${y} are different, and neither is 1. They cannot be broadcast`,
          `${x} 与 ${y} 不相等，也都不是 1，所以不能广播`];
        rows[0][i] = cell(x, "wrong");
        rows[1][i] = cell(y, "wrong");
        rows[2][i] = cell("?", "wrong");
      } else {
        rows[0][i] = x === length ? cell(x, "active") : cell(`1 → ${length}`, "repeated");
        rows[1][i] = y === length ? cell(y, "active") : cell(`1 → ${length}`, "repeated");
        rows[2][i] = cell(length, "active");
        if (x !== y) said = [`1 and ${length}: the one of length 1 is repeated ${length} times`,
          `1 与 ${length}：长度为 1 的那个重复 ${length} 次`];
      }
      steps.push({ rows, said: [`Axis ${axis}: ${said[0]}.`, `轴 ${axis}：${said[1]}。`] });
    }
    if (shape) {
      const [first, second] = calm(steps.at(-1).rows);
      steps.push({ rows: [first, second, cells(shape, "result")], said: [
        `${tuple(a)} and ${tuple(b)} give ${tuple(shape)}: ${entries(shape)}.`,
        `${tuple(a)} 和 ${tuple(b)} 得到 ${tuple(shape)}：共 ${size(shape)} 个元素。`] });
    }
    return steps;
  }

  function dotSteps(a, b) {
    const { shape } = dot(a, b), before = Math.max(0, a.length - 1), after = Math.max(0, b.length - 1);
    const rows = (kind, third = []) => [
      [...cells(a.slice(0, -1)), ...cells(a.slice(-1), kind), ...blanks(after)],
      [...blanks(before), ...cells(b.slice(0, 1), kind), ...cells(b.slice(1))], third,
    ];
    const steps = [{ rows: rows(""), said: [
      `${tuple(a)} · ${tuple(b)}: do they fit?`, `${tuple(a)} · ${tuple(b)}：能做点积吗？`] }];
    if (!a.length || !b.length) return [...steps, { rows: rows("wrong"), said: [
      "The shape () is a single number. It has no axis to sum over, so this is a product and no dot.",
      "形状 () 是一个标量，没有可以求和的轴，所以这是乘法，不是点积。"] }];
    const [x, y] = [a.at(-1), b[0]];
    if (x !== y) return [...steps, { rows: rows("wrong"), said: [
      `The last axis of the first has length ${x}, the first axis of the second ${y}. They must be equal.`,
      `第一个的最后一个轴长度是 ${x}，第二个的第一个轴长度是 ${y}，两者必须相等。`] }];
    const gone = [...cells(a.slice(0, -1), "result"), cell("Σ", "gone"), ...cells(b.slice(1), "result")];
    const sum = [`a sum of ${x} product${x === 1 ? "" : "s"}`, `${x} 个乘积之和`];
    const sameAsNumPy = b.length <= 2
      ? [" jnp.dot and jnp.tensordot(axes=1) give the same.", "jnp.dot 和 jnp.tensordot(axes=1) 得到的相同。"]
      : [" So does jnp.tensordot(axes=1); jnp.dot takes the second to last axis of the second.",
        "jnp.tensordot(axes=1) 也这样；jnp.dot 取的是第二个的倒数第二个轴。"];
    return [...steps,
      { rows: rows("active"), said: [
        `The last axis of the first and the first axis of the second: ${x} = ${y}, so they fit.`,
        `第一个的最后一个轴与第二个的第一个轴：${x} = ${y}，可以做点积。`] },
      { rows: rows("gone", gone), said: [
        "The result is summed over both, so they are gone. The other axes stay, those of the first in front.",
        `这两个轴被求和，结果里不再有。其余的轴都留下，第一个的在前，第二个的在后。`] },
      { rows: rows("gone", gone), said: [
        `${tuple(a)} · ${tuple(b)} gives ${tuple(shape)}: ${entries(shape)}, each ${sum[0]}.${sameAsNumPy[0]}`,
        `${tuple(a)} · ${tuple(b)} 得到 ${tuple(shape)}：共 ${size(shape)} 个元素，每个是 ${sum[1]}。${sameAsNumPy[1]}`] }];
  }

  // --- the toy --------------------------------------------------------------------------------------------

  const MODES = {
    broadcasting: { steps: broadcastSteps, names: ["broadcasting", "广播"], pairs: [
      ["64, 3, 32, 10", "32, 10"], ["5, 1", "3"], ["32, 10", "10"], ["2, 3", "2"], ["8, 1, 6, 1", "7, 1, 5"],
      ["4", ""]] },
    dot: { steps: dotSteps, names: ["dot", "点积"], pairs: [
      ["2, 3", "3, 4"], ["128, 784", "784, 512"], ["3", "3"], ["4, 3", "3"], ["2, 3, 4, 5", "5, 6"],
      ["3, 2", "3, 2"]] },
  };

  function table(rows) {
    const names = [words("first", "第一个"), words("second", "第二个"), words("result", "结果")];
    const shown = rows.map((row, i) => make("tr", {}, make("th", { scope: "row" }, names[i]),
      ...row.map(({ text, kind }) => make("td", {}, make("span", { class: `cell ${kind}` }, text)))));
    return make("table", { class: "axes" }, ...shown);
  }

  function start(element) {
    let mode = "broadcasting", steps = [];
    const typed = Object.fromEntries(Object.entries(MODES).map(([name, { pairs }]) => [name, [...pairs[0]]]));
    const wrong = make("p", { class: "wrong", role: "alert" }), picture = make("div", { class: "picture" });
    const said = jaxnaive.said(), names = [["first shape", "第一个形状"], ["second shape", "第二个形状"]];
    const inputs = names.map((_, k) => make("input", {
      type: "text", inputmode: "text", autocomplete: "off", spellcheck: "false", size: 14,
      oninput: () => ((typed[mode][k] = inputs[k].value), build()),
    }));
    const walker = jaxnaive.stepper(() => steps.length - 1, redraw);
    const examples = make("div", { class: "tools examples" });

    function build(at = 0) {
      try {
        const shapes = inputs.map((input, k) => {
          try {
            return read(input.value);
          } catch (error) {
            throw [`${names[k][0]}: ${error.message}.`, `${names[k][1]}：${error.zh}。`];
          }
        });
        steps = MODES[mode].steps(...shapes);
        wrong.replaceChildren();
        walker.to(at);
      } catch (lines) {
        if (!Array.isArray(lines)) throw lines;
        wrong.replaceChildren(words(...lines));
      }
    }

    function redraw() {
      picture.replaceChildren(table(steps[walker.at].rows));
      said.replaceChildren(words(...steps[walker.at].said));
    }

    function choose(name, pair = typed[name], at = 0) {
      mode = name;
      typed[name] = [...pair];
      inputs.forEach((input, k) => (input.value = pair[k]));
      examples.replaceChildren(...MODES[name].pairs.map((one) => jaxnaive.button(
        one.map((text) => tuple(read(text))).join(name === "dot" ? " · " : " + "), () => choose(name, one, at))));
      build(at);
    }

    const choice = jaxnaive.radios({
      label: words("operation", "运算"), value: mode, change: (name) => choose(name),
      options: Object.entries(MODES).map(([name, one]) => [name, words(...one.names)]),
    });
    element.classList.add("shapes");
    element.append(choice.element,
      make("div", { class: "tools" }, ...inputs.map((input, k) => make("label", {}, words(...names[k]), input))),
      wrong, walker.element, said, picture,
      make("p", { class: "heading" }, words("Examples", "例子")), examples);
    choose(mode);
  }

  return { start, read, broadcast, dot, broadcastSteps, dotSteps, tuple };
})();
