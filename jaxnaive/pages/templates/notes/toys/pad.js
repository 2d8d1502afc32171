"use strict";
/* A pad to draw digits on, and what a network says to them. `network` has its `class_names` and its `layers`: `w`
   and `b` of each as base64 of little-endian float32; and, so that it can be unsure, a `rejection` or null. The
   normalisation is that of networks/handwriting.py, and the rejection that of rejection.py. */
jaxnaive.toys.pad = (() => {
  const { make, words, button, checkbox, said, guard } = jaxnaive;
  const SIDE = 28, BOX = 20, MIDDLE = 14; // as in handwriting.py
  const PAD = 420, PEN = 24; // pixels; digits of a quarter of the pad are recognised too
  const CELL = 14; // the side of a unit's cell, with the gap beside it
  const STEP = 12; // of the keyboard's pen
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  // --- the network ----------------------------------------------------------------------------------------

  const floats = (base64) => new Float32Array(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
  const read = (network) => network.layers.map(({ w, b }) => ({ w: floats(w), b: floats(b) }));

  /* x @ w + b, for w of [inputs, outputs] row by row. */
  function dense({ w, b }, x) {
    const y = Float64Array.from(b);
    for (let i = 0; i < x.length; i++) {
      if (x[i] !== 0) for (let j = 0; j < y.length; j++) y[j] += x[i] * w[i * y.length + j];
    }
    return y;
  }

  /* The outputs of all layers, from 784 grey values of 0 to 255: relu after each, and logits at the end. */
  function activations(layers, image) {
    let x = Float64Array.from(image, (value) => value / 255);
    return layers.map((layer, k) => {
      const y = dense(layer, x);
      return (x = k < layers.length - 1 ? y.map((value) => Math.max(value, 0)) : y);
    });
  }

  // --- what it does not know, as distances() in rejection.py -----------------------------------------------

  function readRejection({ mean, axes, limit, is_light }) {
    return { mean: floats(mean), axes: floats(axes), limit, isLight: is_light };
  }

  /* How far an image is from the training images of class k. */
  function distance({ mean, axes }, image, k) {
    const half = SIDE / 2, cells = half * half, count = axes.length / mean.length;
    const means = new Float64Array(cells);
    image.forEach((value, i) => {
      means[Math.floor(i / SIDE / 2) * half + Math.floor((i % SIDE) / 2)] += value / 255 / 4;
    });
    const away = means.map((value, i) => Math.sqrt(value) - mean[k * cells + i]);
    let rest = away.reduce((sum, value) => sum + value ** 2, 0);
    for (let axis = 0; axis < count; axis++) {
      rest -= away.reduce((sum, value, i) => sum + value * axes[(k * cells + i) * count + axis], 0) ** 2;
    }
    return rest;
  }

  function softmax(logits) {
    const powers = logits.map((value) => Math.exp(value - Math.max(...logits)));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((value) => value / sum);
  }

  // --- MNIST's normalisation, as normalise() in handwriting.py ----------------------------------------------

  function profiles(ink, width, height) {
    const rows = new Float64Array(height), columns = new Float64Array(width);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        rows[y] += ink[y * width + x];
        columns[x] += ink[y * width + x];
      }
    }
    return [rows, columns];
  }

  function extent(profile) {
    const first = profile.findIndex((value) => value > 0);
    return [first, profile.findLastIndex((value) => value > 0) + 1];
  }

  /* Where along a side the result begins, so that the centre of mass falls into its middle pixel. */
  function origin(profile, scale) {
    const [first, last] = extent(profile);
    let sum = 0, moment = 0;
    profile.forEach((value, place) => {
      sum += value;
      moment += (place + 0.5) * value;
    });
    const offset = Math.ceil(MIDDLE - (moment / sum - first) / scale - 1e-6);
    return first - scale * Math.max(0, Math.min(offset, SIDE - Math.ceil((last - first) / scale)));
  }

  /* Pixels of 28 x 28, each the mean of the square of ink that it covers. */
  function shrink(ink, width, height, left, top, scale) {
    const means = new Float64Array(SIDE * SIDE);
    const overlap = (place, start) => Math.min(start + scale, place + 1) - Math.max(start, place);
    for (let i = 0; i < SIDE * SIDE; i++) {
      const x0 = left + scale * (i % SIDE), y0 = top + scale * Math.floor(i / SIDE);
      for (let y = Math.max(0, Math.floor(y0)); y < Math.min(height, y0 + scale); y++) {
        for (let x = Math.max(0, Math.floor(x0)); x < Math.min(width, x0 + scale); x++) {
          means[i] += ink[y * width + x] * overlap(x, x0) * overlap(y, y0);
        }
      }
    }
    return Uint8Array.from(means, (value) => Math.floor((255 * value) / scale ** 2 + 0.5));
  }

  /* From ink, 0 none to 1 full, row by row, to 784 grey values of 0 to 255; null when there is no ink. */
  function normalise(ink, width, height) {
    const [rows, columns] = profiles(ink, width, height);
    if (!rows.some((value) => value > 0)) return null;
    const scale = Math.max(...[rows, columns].map(extent).map(([first, last]) => last - first)) / BOX;
    return shrink(ink, width, height, origin(columns, scale), origin(rows, scale), scale);
  }

  /* What most programs do instead: make the whole pad smaller, wherever the digit is. */
  function resize(ink, width, height) {
    return ink.some((value) => value > 0) ? shrink(ink, width, height, 0, 0, width / SIDE) : null;
  }

  // --- the drawing ----------------------------------------------------------------------------------------

  /* A canvas to draw on with mouse, pen, finger or keyboard; `changed()` is called for each new point. */
  function sheet(changed) {
    const canvas = make("canvas", { class: "sheet", width: PAD, height: PAD, tabindex: 0, role: "application" });
    const cursor = make("span", { class: "cursor", hidden: true });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const strokes = []; // each a list of [x, y]
    let drawing = null; // the pointer that is down, or "keys"
    let at = [PAD / 2, PAD / 2]; // of the keyboard's pen

    function redraw() {
      pen.clearRect(0, 0, PAD, PAD);
      Object.assign(pen, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
      pen.strokeStyle = getComputedStyle(canvas).color;
      for (const [first, ...rest] of strokes) {
        pen.beginPath();
        pen.moveTo(...first);
        for (const point of rest.length ? rest : [first]) pen.lineTo(...point);
        pen.stroke();
      }
    }

    /* The canvas is transparent where there is no ink, so ink is its opacity, whatever its colour. */
    function ink() {
      const { data } = pen.getImageData(0, 0, PAD, PAD);
      const opacity = new Float32Array(PAD * PAD);
      for (let i = 0; i < opacity.length; i++) opacity[i] = data[4 * i + 3] / 255;
      return opacity;
    }

    function place(event) {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * PAD / box.width, (event.clientY - box.top) * PAD / box.height];
    }

    canvas.addEventListener("pointerdown", (event) => {
      if (typeof drawing === "number" || event.button !== 0) return;
      event.preventDefault();
      cursor.hidden = true;
      drawing = event.pointerId;
      canvas.setPointerCapture(drawing);
      strokes.push([place(event)]);
      changed();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== drawing) return;
      const between = event.getCoalescedEvents?.() ?? [];
      strokes.at(-1).push(...(between.length ? between : [event]).map(place));
      changed();
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(kind, (event) => {
        if (event.pointerId === drawing) drawing = null;
        changed();
      });
    }
    canvas.addEventListener("keydown", (event) => {
      if (event.key === " ") {
        drawing = drawing === null ? "keys" : null;
        if (drawing) strokes.push([at]);
      } else if (ARROWS[event.key]) {
        at = at.map((x, i) => Math.max(0, Math.min(PAD, x + STEP * ARROWS[event.key][i])));
        if (drawing === "keys") strokes.at(-1).push(at);
      } else return;
      event.preventDefault();
      cursor.hidden = false;
      cursor.classList.toggle("down", drawing === "keys");
      Object.assign(cursor.style, { left: `${100 * at[0] / PAD}%`, top: `${100 * at[1] / PAD}%` });
      changed();
    });
    canvas.addEventListener("blur", () => {
      if (drawing === "keys") drawing = null;
      cursor.hidden = true;
      changed();
    });
    return { element: make("div", { class: "drawing" }, canvas, cursor), canvas, strokes, redraw, ink,
      get isDown() { return drawing !== null; } };
  }

  // --- the toy --------------------------------------------------------------------------------------------

  const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;

  /* One cell for each unit of a hidden layer, the darker the larger its output. */
  function cells(count) {
    const canvas = make("canvas", { role: "img" }), note = make("p", { class: "note" });
    function show(units) {
      const colors = jaxnaive.colors(), columns = canvas.clientWidth > 600 ? 64 : 32;
      const highest = units.reduce((a, b) => Math.max(a, b), 0), active = units.filter((value) => value > 0).length;
      canvas.width = columns * CELL;
      canvas.height = Math.ceil(units.length / columns) * CELL;
      const context = canvas.getContext("2d");
      units.forEach((value, i) => {
        for (const [name, opacity] of [["faint", 0.25], ["blue", highest && value / highest]]) {
          Object.assign(context, { globalAlpha: opacity, fillStyle: colors[name] });
          context.fillRect((i % columns) * CELL, Math.floor(i / columns) * CELL, CELL - 1, CELL - 1);
        }
      });
      note.replaceChildren(words(
        `${active} of ${count} units are above zero; the highest is at ${highest.toFixed(2)}.`,
        `${count} 个单元中有 ${active} 个大于零，最大的是 ${highest.toFixed(2)}。`));
    }
    const title = make("h4", {}, words("The hidden layer: one cell for each unit", "隐藏层：每个单元一格"));
    return { element: make("div", { class: "hidden-layer" }, title, canvas, note), show };
  }

  function build(element, network) {
    const layers = read(network), names = network.class_names;
    const rejection = network.rejection && readRejection(network.rejection);
    const inputs = layers[0].w.length / layers[0].b.length;
    if (inputs !== SIDE * SIDE) {
      throw Object.assign(new Error(`pad: got a network of ${inputs} inputs, expected ${SIDE * SIDE}`),
        { zh: `画板：得到的网络有 ${inputs} 个输入，应当是 ${SIDE * SIDE} 个` });
    }
    const answer = said(), seen = make("canvas", { class: "seen", width: SIDE, height: SIDE, role: "img" });
    const rows = names.map((name) => make("tr", {}, make("th", { scope: "row" }, name),
      make("td", {}, make("div", { class: "bar" })), make("td", {}, "–")));
    const hidden = layers.slice(0, -1).map(({ b }) => cells(b.length));
    let waiting = false; // for the next frame

    function changed() {
      if (!waiting) requestAnimationFrame(show);
      waiting = true;
    }

    function show() {
      waiting = false;
      paper.redraw();
      const drawn = (box.input.checked ? normalise : resize)(paper.ink(), PAD, PAD);
      const image = drawn && rejection?.isLight ? drawn.map((value) => 255 - value) : drawn;
      const outputs = image && activations(layers, image);
      clear.disabled = undo.disabled = !paper.strokes.length;
      showImage(image ?? new Uint8Array(SIDE * SIDE));
      showProbabilities(outputs && softmax(outputs.at(-1)), image);
      hidden.forEach((one, k) => one.show(outputs ? outputs[k] : new Float64Array(layers[k].b.length)));
    }

    function showImage(image) {
      const pixels = new ImageData(SIDE, SIDE);
      image.forEach((value, i) => pixels.data.set([value, value, value, 255], 4 * i));
      seen.getContext("2d").putImageData(pixels, 0, 0);
    }

    function isUnlike(image, best) {
      return Boolean(rejection) && distance(rejection, image, best) > rejection.limit;
    }

    function showProbabilities(probabilities, image) {
      const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
      rows.forEach((row, k) => {
        row.className = k === best ? "best" : "";
        row.querySelector(".bar").style.width = `${probabilities ? 100 * probabilities[k] : 0}%`;
        row.lastElementChild.textContent = probabilities ? percent(probabilities[k]) : "–";
      });
      if (probabilities && paper.isDown) return; // a screen reader reads the answer once a stroke
      answer.replaceChildren(says(probabilities, image, best));
    }

    function says(probabilities, image, best) {
      if (!probabilities) return words("Draw one on the pad.", "请在画板上写一个。");
      const name = names[best], probability = percent(probabilities[best]);
      return isUnlike(image, best)
        ? words(`Not sure: like nothing the network was trained on (${name}, ${probability})`,
          `说不准：网络没有学过这样的东西（${name}，${probability}）`)
        : words(`It says ${name}, ${probability}`, `它说是 ${name}，${probability}`);
    }

    const paper = sheet(changed);
    const clear = button(words("Clear", "清除"), () => { paper.strokes.length = 0; changed(); });
    const undo = button(words("Undo", "撤销"), () => { paper.strokes.pop(); changed(); });
    const box = checkbox(words("Normalised", "归一化"), true, changed);
    const keys = make("p", { class: "note" }, words(
      "With the keyboard: arrows move the pen, the space bar puts it down and lifts it.",
      "用键盘：方向键移动笔，空格键落笔、提笔。"));
    const why = make("p", { class: "note" }, words(
      "MNIST’s digits were inverted, scaled to fit 20 × 20 pixels, and centred by their mass in 28 × 28. Your drawing "
      + "is treated in the same way, because the network has seen nothing else. Without the tick it is only made "
      + "smaller: draw in a corner, and see how the answer changes.",
      "MNIST 的数字都经过反色，缩放到 20×20 像素以内，再按重心放在 28×28 的中央。你写的数字也这样处理，因为网络没有见过别的。"
      + "去掉勾，就只是缩小：写在角上，看答案怎样变。"));
    paper.canvas.setAttribute("aria-label", "Drawing pad / 画板");
    seen.setAttribute("aria-label", "28 × 28");
    element.append(
      make("div", { class: "pad" },
        make("div", {}, paper.element, make("div", { class: "tools" }, clear, undo, box.element), keys),
        make("div", { class: "results" }, answer,
          make("div", {}, make("h4", {}, words("What it sees", "它看到的")), seen),
          make("div", {}, make("h4", {}, words("Probabilities", "概率")), make("table", {}, ...rows)), why)),
      ...hidden.map((one) => one.element));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
    document.addEventListener("themechange", changed);
    window.addEventListener("resize", changed);
    show();
    return { activations: (image) => activations(layers, image), ink: paper.ink,
      distance: (image, k) => distance(rejection, image, k) };
  }

  function start(element, { network }) {
    let pad;
    guard(element, () => (pad = build(element, network)));
    return pad;
  }

  return { start, read, activations, softmax, normalise, resize };
})();
