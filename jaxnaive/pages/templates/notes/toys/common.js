"use strict";
/* What the toys share. A toy is `jaxnaive.toys.NAME = {start(element, numbers), ...}`: `start` builds it inside an
   empty element from the numbers that the lesson gave it; its other members are pure functions, for the tests. */
const jaxnaive = (() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)");

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

  /* A slider with its name before it and its value behind it. */
  function slider({ label, min, max, step, value, show = (x) => String(x), change }) {
    const output = make("output", {}, show(value));
    const input = make("input", { type: "range", min, max, step, value });
    input.addEventListener("input", () => {
      output.textContent = show(Number(input.value));
      change(Number(input.value));
    });
    const element = make("label", { class: "slider" }, label, input, output);
    const set = (x) => {
      input.value = x;
      output.textContent = show(Number(input.value));
    };
    return { element, input, set, get value() { return Number(input.value); } };
  }

  function button(label, click) {
    return make("button", { type: "button", onclick: click }, label);
  }

  /* A line that a screen reader speaks when it changes: what the picture shows, in words and numbers. */
  function said() {
    return make("p", { class: "said", "aria-live": "polite" });
  }

  /* A canvas that is sharp on every screen; `draw(context, width, height, colors)` is called again when the size
     or the colours change. */
  function canvas(aspect, draw) {
    const element = make("canvas", { role: "img" });
    const redraw = () => {
      const width = element.clientWidth || 600, height = Math.round(width / aspect);
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
  return { toys, make, words, slider, button, said, canvas, colors, animate, start, still };
})();
