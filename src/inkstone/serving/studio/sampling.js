// How the next token is drawn: the controls that every page with a writing model shares.

import { el } from "./dom.js";
import { number, speaker } from "./words.js";

export const words = {
  en: {
    sampling: "How it writes", temperature: "Temperature", "temperature why": "0 always takes the likeliest token; higher is more surprising",
    top_p: "Top-p", "top_p why": "draws from the likeliest tokens that together have this probability; 1 is all",
    top_k: "Top-k", "top_k why": "draws from so many likeliest tokens; 0 is all",
    min_p: "Min-p", "min_p why": "leaves out tokens less likely than this share of the likeliest; 0 is none",
    max_tokens: "Longest answer", "max_tokens why": "in tokens", seed: "Seed", "seed why": "the same seed writes the same; empty draws anew each time",
    stop: "Stop at", "stop why": "a text that ends the answer; several: one a line", reset: "As it was",
  },
  zh: {
    sampling: "如何书写", temperature: "温度", "temperature why": "0 总取最可能的词元；越高越出人意料",
    top_p: "Top-p", "top_p why": "只从概率之和达到此值的最可能词元中抽取；1 为全部",
    top_k: "Top-k", "top_k why": "只从这么多个最可能的词元中抽取；0 为全部",
    min_p: "Min-p", "min_p why": "去掉概率低于最大者这一比例的词元；0 为不去掉",
    max_tokens: "最长回答", "max_tokens why": "以词元计", seed: "种子", "seed why": "同样的种子写出同样的文字；留空则每次不同",
    stop: "停止于", "stop why": "遇到这段文字就结束；多段时每行一段", reset: "恢复原样",
  },
};

const t = speaker(words);
const START = { temperature: 0.8, top_p: 1, top_k: 0, min_p: 0.05, max_tokens: 256, seed: null, stop: "" };
const SLIDERS = [["temperature", 0, 2, 0.05, 2], ["top_p", 0.05, 1, 0.05, 2], ["min_p", 0, 0.5, 0.01, 2]];

/** The controls; `controls.values()` is what a request takes, `controls.settings` what is shown. `changed` is told of changes. */
export function sampling(kept = {}, changed = () => {}) {
  const settings = { ...START, ...kept };
  const box = el("div.sampling", { role: "group", label: () => t("sampling") });
  const draw = () => {
    box.replaceChildren(
      ...SLIDERS.map(([name, ...range]) => slider(name, ...range)),
      el("div.pair", {}, field("top_k", { type: "number", min: 0, step: 1, inputMode: "numeric" }), field("max_tokens", { type: "number", min: 1, step: 1, inputMode: "numeric" })),
      field("seed", { type: "number", min: 0, step: 1, inputMode: "numeric" }),
      stops(),
      el("button.quiet", { type: "button", text: () => t("reset"), onclick: () => { Object.assign(settings, START); draw(); changed(settings); } }),
    );
  };
  const keep = (name, value) => {
    settings[name] = value;
    changed(settings);
  };
  const slider = (name, min, max, step, digits) => {
    const shown = el("output", { text: () => number(settings[name], digits) });
    const input = el("input", {
      type: "range", min, max, step, value: settings[name], title: () => t(`${name} why`),
      oninput: () => { keep(name, Number(input.value)); shown.textContent = number(settings[name], digits); },
    });
    return el("label.slider", {}, el("span", {}, el("span", { text: () => t(name) }), shown), input);
  };
  const field = (name, attributes) => {
    const input = el("input", {
      ...attributes, value: settings[name] ?? "", title: () => t(`${name} why`),
      oninput: () => { if (input.validity.valid) keep(name, input.value === "" ? START[name] : Math.trunc(Number(input.value))); },
    });
    return el("label", {}, el("span", { text: () => t(name) }), input);
  };
  const stops = () => {
    const input = el("textarea", { rows: 1, value: settings.stop, title: () => t("stop why"), oninput: () => keep("stop", input.value) });
    return el("label", {}, el("span", { text: () => t("stop") }), input);
  };
  draw();
  box.settings = settings;
  box.values = () => asRequest(settings);
  return box;
}

/** Settings as a request takes them: what is left open is left out. */
export function asRequest(settings) {
  const { seed, stop, top_k, ...others } = settings;
  const stops = stop.split("\n").filter(Boolean);
  return { ...others, ...(top_k ? { top_k } : {}), ...(seed === null ? {} : { seed }), ...(stops.length ? { stop: stops } : {}) };
}
