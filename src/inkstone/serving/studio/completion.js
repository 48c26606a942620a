// A text that the model goes on with: for models that were not taught to converse, and to look at any model's probabilities.

import { copy, thumbs, tool } from "./message.js";
import { legend, tokenRow } from "./tokens.js";
import { weighed, written } from "./writing.js";

export const words = {
  en: {
    begin: "The beginning of a text", "begin what": "Write how a text begins, and the model goes on …", "go on with it": "Go on", "colour by": "Colours",
    plain: "none", "by surprise": "surprise", "by entropy": "undecidedness", clear: "Begin anew", "take": "Edit the whole",
    "tokens hint": "Point at a token to see what else it could have been; choose another one, and the text goes on from there.",
  },
  zh: {
    begin: "文字的开头", "begin what": "写一个开头，让模型接着写……", "go on with it": "续写", "colour by": "着色",
    plain: "无", "by surprise": "意外程度", "by entropy": "犹豫程度", clear: "重新开始", "take": "编辑全文",
    "tokens hint": "指向一个词元，看看它还可能是什么；选另一个，文字就从那里改写下去。",
  },
};

/** The view: a beginning, and what the model makes of it. `values()` gives the settings of sampling. */
export function completion(context) {
  const { t, el, put, icon, fail, model, values, signal } = context;
  let writing = null;
  let prompt = ""; // what the tokens below go on from
  let text = ""; // what was written after it
  let tokens = []; // the tokens of that
  let row = null; // as they are shown
  let colour = "surprise";
  let everything = null; // every token of prompt and continuation, with entropies
  const mark = {};

  const field = el("textarea.beginning", { rows: 5, label: () => t("begin"), placeholder: () => t("begin what"), value: remembered() });
  const paper = el("div.paper", { hidden: true });
  const notes = el("div");
  const go = el("button.on", { type: "button", onclick: () => (writing ? writing.abort() : begin()) }, icon("send"), el("span", { text: () => t("go on with it") }));
  const colours = el("div.row.colours", { role: "group", label: () => t("colour by") }, el("span.soft", { text: () => t("colour by") }),
    ["plain", "surprise", "entropy"].map((each) => el("button.quiet", {
      type: "button", dataset: { by: each }, text: () => t(each === "plain" ? "plain" : `by ${each}`), onclick: () => paint(each),
    })));
  const again = el("button.quiet", { type: "button", text: () => t("take"), onclick: () => take() });
  const clear = el("button.quiet", { type: "button", text: () => t("clear"), onclick: () => take("") });
  const marks = el("span.marks");
  const after = el("div", { hidden: true }, colours, notes, el("div.row", {}, marks, tool("copy", () => t("copy"), () => copy(whole(), context)), again, clear));
  signal.addEventListener("abort", () => writing?.abort());

  function whole() {
    return prompt + text;
  }

  function begin() {
    prompt = field.hidden ? whole() : field.value;
    try { sessionStorage.setItem("inkstone-beginning", field.value); } catch { /* not kept */ }
    write();
  }

  /** Another token at a place, and on from there. */
  function turn(place, other) {
    prompt += row.all.slice(0, place).map((token) => token.text).join("") + other.text;
    write();
  }

  /** Back to a text that is typed: the whole of what is there, or another. */
  function take(instead = whole()) {
    writing?.abort();
    writing = null;
    put(go, icon("send"), el("span", { text: () => t("go on with it") }));
    field.value = instead;
    prompt = text = "";
    tokens = [];
    field.hidden = false;
    paper.hidden = true;
    after.hidden = true;
    field.focus();
  }

  async function write() {
    writing?.abort();
    const controller = (writing = new AbortController());
    const mine = prompt;
    everything = null;
    colour = colour === "entropy" ? "surprise" : colour;
    field.hidden = true;
    paper.hidden = false;
    after.hidden = false;
    delete mark.mark;
    text = "";
    tokens = [];
    row = tokenRow([], { goOn: turn });
    const waiting = el("span.waiting", { "aria-hidden": "true" });
    put(paper, el("span.prompt", { text: mine }), row, waiting);
    paper.setAttribute("aria-busy", "true");
    put(go, icon("stop"), el("span", { text: () => t("stop") }));
    dress();
    let failed = null;
    let reason = null;
    try {
      for await (const piece of written({ model: model.id, prompt: mine }, values(), controller.signal)) {
        text += piece.text;
        tokens.push(...piece.tokens);
        row.add(piece.tokens);
        reason = piece.reason ?? reason;
      }
    } catch (error) {
      if (error.name !== "AbortError") failed = error;
      else reason = "stopped";
    }
    if (writing !== controller) return;
    writing = null;
    if (signal.aborted) return;
    row.end();
    waiting.remove();
    paper.removeAttribute("aria-busy");
    put(go, icon("send"), el("span", { text: () => t("go on with it") }));
    put(marks, mine.trim() && text.trim() ? thumbs(() => ({ model: model.id, messages: [{ role: "user", content: mine }], answer: text, settings: values() }), mark, context) : null);
    if (failed) {
      if (!tokens.length) take();
      return fail(failed);
    }
    draw(reason);
  }

  /** Draw what was written in the colours that were chosen. */
  function draw(reason = null) {
    dress();
    if (colour === "entropy" && everything) put(paper, tokenRow(everything, { by: "entropy" }));
    else if (colour === "plain") put(paper, el("span.prompt", { text: prompt }), el("span", { text }));
    else put(paper, el("span.prompt", { text: prompt }), (row = tokenRow(tokens, { goOn: turn })));
    put(notes, colour === "plain" ? null : legend(colour), colour === "surprise" && tokens.length ? el("p.soft", { text: () => t("tokens hint") }) : null,
      !tokens.length && !reason ? null : reason === "length" ? el("p.soft", { text: () => t("cut short") }) : reason === "stopped" ? el("p.soft", { text: () => t("stopped") }) : !tokens.length ? el("p.soft", { text: () => t("said nothing") }) : null);
  }

  async function paint(by) {
    if (by === "entropy" && !everything) {
      try {
        everything = await weighed(model.id, whole(), signal);
      } catch (error) { return fail(error); }
    }
    colour = by;
    draw();
  }

  function dress() {
    for (const button of colours.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.by === colour));
  }

  field.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) begin(); });
  const view = el("div.completion", {}, field, paper, el("div.row", {}, go), after);
  view.stop = () => writing?.abort();
  return view;
}

function remembered() {
  try { return sessionStorage.getItem("inkstone-beginning") ?? ""; } catch { return ""; }
}
