"use strict";
/* What the toys share. A toy is `jaxnaive.toys.NAME = {start(element, numbers), ...}`: `start` builds it inside an
   empty element from the numbers that the lesson gave it; its other members are pure functions, for the tests. */
const jaxnaive = (() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let choices = 0; // groups of radio buttons so far; each has a name of its own

  /* An element. Attributes that begin with "on" are listeners; children are elements or strings. */
  function make(tag, attributes = {}, ...children) {
    const svg = ["svg", "g", "path", "line", "circle", "rect", "text", "polyline", "polygon", "title"];
    const element = svg.includes(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  /* The same words in both languages; the page shows those of the reader. */
  function words(en, zh) {
    const both = make("span");
    both.append(make("span", { lang: "en" }, en), make("span", { lang: "zh" }, zh));
    return both;
  }

  /* A slider with its name before it and its value behind it, as `show` writes it: a string or an element. */
  function slider({ label, min, max, step, value, show = (x) => String(x), change }) {
    const output = make("output", {}, show(value));
    const input = make("input", { type: "range", min, max, step, value });
    input.addEventListener("input", () => {
      output.replaceChildren(show(Number(input.value)));
      change(Number(input.value));
    });
    const element = make("label", { class: "slider" }, label, input, output);
    const set = (x) => {
      input.value = x;
      output.replaceChildren(show(Number(input.value)));
    };
    return { element, input, set, get value() { return Number(input.value); } };
  }

  function button(label, click) {
    return make("button", { type: "button", onclick: click }, label);
  }

  /* Buttons through the steps from 0 to `last()`. `at` is the one now; `changed()` is called at another one. */
  function stepper(last, changed) {
    const self = { at: 0 };
    const buttons = [
      [words("Start", "开头"), () => 0], [words("Back", "上一步"), () => self.at - 1],
      [words("Next", "下一步"), () => self.at + 1], [words("All", "全部"), last],
    ].map(([label, next]) => button(label, () => self.to(next())));
    self.element = make("div", { class: "tools" }, ...buttons);
    self.to = (step) => {
      self.at = Math.max(0, Math.min(step, last()));
      buttons.forEach((one, i) => (one.disabled = self.at === (i < 2 ? 0 : last())));
      changed();
    };
    return self;
  }

  /* One of several: `options` are pairs of a value and its words. */
  function radios({ label, options, value, change }) {
    const name = `choice-${(choices += 1)}`;
    const inputs = options.map(([option, text]) => {
      const checked = option === value;
      const input = make("input", { type: "radio", name, checked, onchange: () => change(option) });
      return [option, input, make("label", {}, input, text)];
    });
    const element = make("fieldset", { class: "radios" }, make("legend", {}, label), ...inputs.map((one) => one[2]));
    const set = (option) => inputs.forEach(([other, input]) => (input.checked = other === option));
    return { element, set };
  }

  function checkbox(label, checked, change) {
    const input = make("input", { type: "checkbox", checked, onchange: () => change(input.checked) });
    return { element: make("label", { class: "checkbox" }, input, label), input };
  }

  /* The patch of colour by which a line of a picture is known in a table. */
  function swatch(name) {
    return make("span", { class: "swatch", style: `background: ${name.startsWith("#") ? name : `var(--${name})`}` });
  }

  /* Build a toy; if `build` throws, the element says in one line what was wrong: the error's message, and its
     member `zh` for those who read Chinese. */
  function guard(element, build) {
    try {
      build();
    } catch (error) {
      const line = error.zh ? words(error.message, error.zh) : error.message;
      element.append(make("p", { class: "wrong", role: "alert" }, line));
    }
  }

  /* A number in a few characters. */
  function short(x) {
    const small = x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5);
    return small ? x.toExponential(1) : String(Number(x.toPrecision(3)));
  }

  /* About `count` round numbers between two. */
  function ticks(from, to, count = 5) {
    const raw = (to - from) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
    const first = Math.ceil(from / step);
    const length = Math.floor(to / step + 1e-9) - first + 1;
    return Array.from({ length }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }

  const MARGIN = { left: 42, right: 10, top: 10, bottom: 24 }; // of a frame, for its numbers

  /* The width and the height that a frame leaves for the picture. */
  function inside(width, height) {
    return [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
  }

  /* Draw a grid with numbers; the result turns values into places. A logarithmic axis has `log: true`. */
  function frame(context, width, height, color, x, y) {
    const { left, right, top, bottom } = MARGIN;
    const scale = ({ from, to, log }, start, end) => {
      const [a, b] = log ? [Math.log10(from), Math.log10(to)] : [from, to];
      return (value) => start + (end - start) * ((log ? Math.log10(value) : value) - a) / (b - a);
    };
    const place = { x: scale(x, left, width - right), y: scale(y, height - bottom, top) };
    const marks = (axis, count) => !axis.log ? ticks(axis.from, axis.to, count)
      : ticks(Math.log10(axis.from), Math.log10(axis.to), count).filter(Number.isInteger).map((power) => 10 ** power);
    Object.assign(context, { strokeStyle: color.faint, fillStyle: color.ink, lineWidth: 1, textBaseline: "middle" });
    const line = (...points) => {
      context.beginPath();
      points.forEach((point) => context.lineTo(...point));
      context.globalAlpha = 0.45;
      context.stroke();
      context.globalAlpha = 1;
    };
    context.textAlign = "center";
    for (const mark of marks(x, width / 90)) {
      line([place.x(mark), top], [place.x(mark), height - bottom]);
      context.fillText(short(mark), place.x(mark), height - bottom / 2);
    }
    context.textAlign = "right";
    for (const mark of marks(y, height / 50)) {
      line([left, place.y(mark)], [width - right, place.y(mark)]);
      context.fillText(short(mark), left - 6, place.y(mark));
    }
    return { ...place, left, right: width - right, top, bottom: height - bottom };
  }

  /* A table of numbers: words for its columns, and for each row the words of its head and its cells. */
  function table(columns, rows) {
    const head = make("tr", {}, ...columns.map((title) => make("th", { scope: "col" }, title)));
    const body = rows.map(([title, cells]) => make("tr", {}, make("th", { scope: "row" }, title), ...cells));
    return make("table", { class: "numbers" }, make("thead", {}, head), make("tbody", {}, ...body));
  }

  /* A line that a screen reader speaks when it changes: what the picture shows, in words and numbers. */
  function said() {
    return make("p", { class: "said", "aria-live": "polite" });
  }

  /* A canvas that is sharp on every screen; `draw(context, width, height, colors)` is called again when the size
     or the colours change. On a phone it is at least `least` pixels high. */
  function canvas(aspect, draw, least = 0) {
    const element = make("canvas", { role: "img" });
    const redraw = () => {
      const width = element.clientWidth || 600, height = Math.round(Math.max(width / aspect, least));
      const ratio = window.devicePixelRatio || 1;
      element.width = width * ratio;
      element.height = height * ratio;
      const context = element.getContext("2d");
      context.scale(ratio, ratio);
      context.font = "13px system-ui, sans-serif";
      draw(context, width, height, colors());
    };
    new ResizeObserver(redraw).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    document.addEventListener("themechange", redraw);
    return { element, redraw };
  }

  /* The colours of the page as they are now, by name: ink, paper, faint, blue, orange, green, red. */
  function colors() {
    const style = getComputedStyle(document.documentElement);
    const names = ["ink", "paper", "faint", "blue", "orange", "green", "red"];
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim() || "#888"]));
  }

  /* Call `step()` 30 times a second until it returns false; at once to the end if the reader prefers no motion. */
  function animate(step) {
    let going = true;
    if (still.matches) {
      for (let count = 0; going && count < 10000; count++) going = step() !== false;
      return () => {};
    }
    const timer = setInterval(() => {
      if (step() === false) clearInterval(timer);
    }, 33);
    return () => clearInterval(timer);
  }

  function start() {
    for (const element of document.querySelectorAll("[data-toy]")) {
      const numbers = JSON.parse(element.querySelector("script").textContent);
      toys[element.dataset.toy].start(element, numbers);
    }
  }

  const toys = {};
  return {
    toys, make, words, slider, radios, checkbox, swatch, button, stepper, said, guard, canvas, colors, short, ticks,
    inside, frame, table, animate, start, still,
  };
})();
