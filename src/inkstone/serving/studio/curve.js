// A curve of a training, drawn by hand and drawn again as it grows: what was learned from, and what was held out.

import { el, put, set, svg } from "./dom.js";
import { number } from "./words.js";

const WIDTH = 640;
const HEIGHT = 240;
const EDGE = { left: 48, right: 14, top: 14, bottom: 30 };
const MOST_POINTS = 400;
const ASIDE = new Set(["kind", "time", "step", "seconds", "tokens", "loss", "learning_rate", "gradient_norm", "tokens_per_second"]);
const SAME = { dev_nats: "nats" }; // scores on the axis of the training loss

export const words = {
  en: {
    bits_per_byte: "bits per byte", nats: "nats", "learned from": "training", "held out": "held out", "n steps": "{n} steps", "no curve": "Nothing is written down of this training yet.",
    "curve of": "{what}: {from} at the first score, {to} at step {step}", "scores held out": "Scores on text held out", step: "Step", score: "Score",
  },
  zh: {
    bits_per_byte: "每字节比特数", nats: "nat", "learned from": "训练", "held out": "留出", "n steps": "{n} 步", "no curve": "这次训练还没有留下记录。",
    "curve of": "{what}：第一次评分 {from}，第 {step} 步 {to}", "scores held out": "在留出文本上的得分", step: "步", score: "得分",
  },
};

/** The lines of a journal as series: [{ unit, train: [[step, value]], held: [[step, value]] }]. */
export function series(entries) {
  const found = new Map();
  const of = (unit) => found.get(unit) ?? found.set(unit, { unit, train: [], held: [] }).get(unit);
  for (const entry of entries) {
    if (entry.kind !== "train" && entry.kind !== "held-out") continue;
    const key = Object.keys(entry).find((name) => !ASIDE.has(name) && typeof entry[name] === "number");
    if (!key) continue;
    of(SAME[key] ?? key)[entry.kind === "train" ? "train" : "held"].push([entry.step, entry[key]]);
  }
  return [...found.values()];
}

/** An element that shows a journal; `show(entries)` draws all of it anew. */
export function curves({ t }) {
  const box = el("div.curves", { "aria-live": "off" });
  box.show = (entries) => {
    const all = series(entries);
    if (!all.length) return put(box, el("p.soft", { text: () => t("no curve") }));
    return put(box, all.map((each) => figure(each, t)));
  };
  return box;
}

function figure({ unit, train, held }, t) {
  const points = [...train, ...held];
  const steps = Math.max(1, ...points.map(([step]) => step));
  const values = points.map(([, value]) => value).sort((a, b) => a - b);
  const low = values[0];
  const high = Math.max(values[Math.ceil(0.98 * values.length) - 1], ...held.map(([, value]) => value)); // the first steps may stand far above all others
  const marks = ticks(low, high);
  const [bottom, top] = [Math.min(low, marks[0]), Math.max(high, marks[marks.length - 1])];
  const x = (step) => EDGE.left + ((WIDTH - EDGE.left - EDGE.right) * step) / steps;
  const y = (value) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * (Math.min(value, top) - bottom)) / (top - bottom || 1);
  const path = (line) => thinned(line).map(([step, value], place) => `${place ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const digits = top - bottom < 0.5 ? 3 : top - bottom < 5 ? 2 : 1;
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img" },
    marks.map((value) => [
      svg("path", { d: `M${EDGE.left} ${y(value).toFixed(1)}H${WIDTH - EDGE.right}`, class: "grid" }),
      svg("text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value, digits)),
    ]),
    svg("text", { x: EDGE.left, y: HEIGHT - 8 }, "0"),
    svg("text", { x: WIDTH - EDGE.right, y: HEIGHT - 8, "text-anchor": "end" }, t("n steps", { n: number(steps) })),
    train.length > 1 && svg("path", { d: path(train), class: "train" }),
    held.length > 1 && svg("path", { d: path(held), class: "held" }),
    thinned(held, 60).map(([step, value]) => svg("circle", { cx: x(step).toFixed(1), cy: y(value).toFixed(1), r: 3, class: "dot" })));
  const told = held.length ? held : train;
  const last = told[told.length - 1];
  set(drawn, "label", () => t("curve of", { what: t(unit), from: number(told[0][1], 3), to: number(last[1], 3), step: number(last[0]) }));
  return el("figure", {},
    el("figcaption", {}, el("span", { text: () => t(unit) }),
      train.length > 0 && el("span.key.train", { text: () => t("learned from") }),
      held.length > 0 && el("span.key.held", { text: () => t("held out") })),
    drawn,
    held.length > 0 && el("details", {}, el("summary", { text: () => t("scores held out") }),
      el("div.table", { tabIndex: 0 }, el("table", {}, el("thead", {}, el("tr", {}, el("th.n", { text: () => t("step") }), el("th.n", { text: () => t("score") }))),
        el("tbody", {}, thinned(held, 40).map(([step, value]) => el("tr", {}, el("td.n", { text: number(step) }), el("td.n", { text: number(value, 3) }))))))));
}

/** Some of the points of a line, the last one among them. */
function thinned(line, most = MOST_POINTS) {
  const each = Math.ceil(line.length / most);
  return line.filter((_, place) => place % each === 0 || place === line.length - 1);
}

/** Round numbers from low to high, about four of them. */
function ticks(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(at);
  return found.length ? found : [low];
}
