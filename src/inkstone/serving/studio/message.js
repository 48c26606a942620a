// One message of a conversation: its words, its tokens, and what can be done with it.

import { api } from "./api.js";
import { el, icon, put, set } from "./dom.js";
import { rendered } from "./markdown.js";
import { legend, tokenRow } from "./tokens.js";

/** A round button with a drawing and a name. */
export function tool(drawing, name, onclick, extra = {}) {
  return el("button.switch", { type: "button", title: name, label: name, onclick, ...extra }, icon(drawing));
}

/** Copy a text, and say so. */
export async function copy(text, { t, tell, fail }) {
  try {
    await navigator.clipboard.writeText(text);
    tell(t("copied"));
  } catch (error) { fail(error); }
}

/** Keep a mark: "up" or "down" of an answer, or "better" than another; `about` is { model, messages, answer, settings, other, other_model }. */
export function mark(kind, about) {
  return api("/studio/api/feedback", { json: { kind, ...about } });
}

/** Two thumbs. `about()` gives what was marked; the last mark stands in `kept.mark`. */
export function thumbs(about, kept, { t, fail, tell }) {
  const kinds = ["up", "down"];
  const buttons = kinds.map((kind) => tool(kind, () => t(kind === "up" ? "good answer" : "bad answer"), async () => {
    try {
      await mark(kind, about());
      kept.mark = kind;
      dress();
      tell(t("mark kept"));
    } catch (error) { fail(error); }
  }));
  const dress = () => buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(kept.mark === kinds[place])));
  dress();
  return buttons;
}

/**
 * The text of an answer that can grow: `view.grow(piece)`, `view.end(reason)`, `view.showTokens(true)`.
 * While it is written, what is new is drawn once a frame.
 */
export function answerText(text = "", tokens = null, { t }) {
  const body = el("div.words");
  const waiting = el("span.waiting", { "aria-hidden": "true" });
  const box = el("div.answer", {}, body);
  let frame = 0;
  let writing = false;
  let asTokens = false;
  box.text = text;
  box.tokens = tokens;
  const draw = () => {
    frame = 0;
    if (asTokens) put(body, tokenRow(box.tokens), legend());
    else put(body, rendered(box.text));
    if (writing) (body.lastElementChild?.matches("p") ? body.lastElementChild : body).append(waiting);
  };
  box.begin = () => {
    writing = true;
    box.setAttribute("aria-busy", "true");
    draw();
  };
  box.grow = (piece) => {
    box.text += piece.text;
    if (piece.tokens.length) box.tokens = [...(box.tokens ?? []), ...piece.tokens];
    if (!frame) frame = requestAnimationFrame(draw);
  };
  box.end = (reason) => {
    writing = false;
    box.removeAttribute("aria-busy");
    cancelAnimationFrame(frame);
    draw();
    if (reason === "length") box.append(el("p.soft", { text: () => t("cut short") }));
    else if (reason === "stopped") box.append(el("p.soft", { text: () => t("stopped") }));
    else if (!box.text.trim()) box.append(el("p.soft", { text: () => t("said nothing") }));
  };
  box.showTokens = (shown) => {
    asTokens = shown && Boolean(box.tokens?.length);
    draw();
  };
  draw();
  return box;
}

/** The words that every answer needs. */
export const words = {
  en: {
    "good answer": "Good answer", "bad answer": "Bad answer", "mark kept": "Your mark is kept", "cut short": "Cut short: the longest answer is reached.",
    stopped: "Stopped.", "said nothing": "The model ended at once without a word.", "show tokens": "Token probabilities", stop: "Stop", send: "Send",
  },
  zh: {
    "good answer": "好的回答", "bad answer": "不好的回答", "mark kept": "已记下你的评价", "cut short": "已达到最长回答，在此截断。",
    stopped: "已停止。", "said nothing": "模型一个字也没写就结束了。", "show tokens": "词元概率", stop: "停止", send: "发送",
  },
};

/** A page's own words beside those of every answer. */
export function withAnswers(own) {
  return { en: { ...words.en, ...own.en }, zh: { ...words.zh, ...own.zh } };
}

/** Name what a button does now. */
export function rename(button, name) {
  set(button, "label", name);
  set(button, "title", name);
}
