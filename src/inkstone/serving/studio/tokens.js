// Tokens with their probabilities: coloured by how surprising each was, told in full on hover, touch or focus.

import { isPart, joiner } from "./characters.js";
import { el } from "./dom.js";
import { number, percent, speaker } from "./words.js";

export const words = {
  en: {
    tokens: "Tokens, coloured by surprise. Arrow keys go from one to the next.", surprise: "surprise", entropy: "entropy", bits: "{n} bits",
    probability: "probability", instead: "could have been", "go on": "Go on from here with “{token}”", certain: "expected", surprising: "surprising",
    "sure of it": "sure", "unsure": "undecided", "legend surprise": "How surprising each token was: −log₂ of its probability",
    "legend entropy": "How undecided the model was before each token: the entropy of its distribution", space: "space", "line break": "line break",
    nothing: "nothing",
  },
  zh: {
    tokens: "词元，按意外程度着色。用方向键逐个移动。", surprise: "意外程度", entropy: "熵", bits: "{n} 比特",
    probability: "概率", instead: "也可能是", "go on": "从这里换成“{token}”写下去", certain: "意料之中", surprising: "出人意料",
    "sure of it": "确定", "unsure": "犹豫", "legend surprise": "每个词元有多意外：其概率的 −log₂",
    "legend entropy": "写出每个词元之前模型有多犹豫：其概率分布的熵", space: "空格", "line break": "换行",
    nothing: "空",
  },
};

const t = speaker(words);
const MOST = { surprise: 12, entropy: 8 }; // bits at which the colour is full

/** A token's surprise in bits. */
export function surprise(token) {
  return token.logProbability === null || token.logProbability === undefined ? null : Math.max(0, -token.logProbability / Math.LN2);
}

/** Colour an element by so many bits. */
export function tint(element, bits, by = "surprise") {
  element.style.setProperty("--heat", `${bits === null ? 0 : Math.round(Math.min(1, bits / MOST[by]) * 62)}%`);
}

/**
 * A row of tokens. `by` is "surprise" or "entropy" (tokens then have `entropy` in bits); `goOn(place, alternative)`, if given, is
 * called when a person chooses another token. `row.add(tokens)` adds more; `row.all` are those that are shown, `row.end()` shows what
 * waits for the rest of its character.
 */
export function tokenRow(tokens, { by = "surprise", goOn = null, name = () => t("tokens") } = {}) {
  const row = el("div.tokens", { role: "group", label: name });
  row.all = [];
  const focus = (place) => {
    const found = row.children[Math.max(0, Math.min(row.children.length - 1, place))];
    if (!found) return;
    for (const each of row.children) each.tabIndex = -1;
    found.tabIndex = 0;
    found.focus();
  };
  const whole = joiner();
  row.add = (more, last = false) => {
    for (const token of whole(more, last)) {
      const place = row.all.push(token) - 1;
      const bits = by === "entropy" ? token.entropy : surprise(token);
      const shown = el("span.token", { role: "button", tabIndex: place ? -1 : 0, dataset: { place: String(place) } }, visible(token.text));
      if (!token.text.trim()) shown.setAttribute("aria-label", readable(token.text));
      tint(shown, bits ?? null, by);
      row.append(shown);
    }
  };
  const open = (target, stays) => {
    const shown = target.closest?.(".token");
    if (shown) card(shown, row.all[Number(shown.dataset.place)], stays, goOn && ((other) => goOn(Number(shown.dataset.place), other)));
  };
  row.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") open(event.target, false); });
  row.addEventListener("pointerleave", () => closeCard(false));
  row.addEventListener("focusin", (event) => open(event.target, false));
  row.addEventListener("focusout", (event) => { if (!shownCard?.contains(event.relatedTarget)) closeCard(false); });
  row.addEventListener("click", (event) => {
    const shown = event.target.closest(".token");
    if (!shown) return;
    focus(Number(shown.dataset.place));
    open(shown, true);
  });
  row.addEventListener("keydown", (event) => {
    const at = Number(event.target.dataset.place);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: row.all.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      focus(to);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(event.target, true);
      shownCard?.querySelector("button")?.focus();
    } else if (event.key === "Escape") closeCard(true);
  });
  row.end = () => row.add([], true);
  row.add(tokens, tokens.length > 0);
  return row;
}

/** What the colours mean. */
export function legend(by = "surprise") {
  const scale = el("span.scale", { "aria-hidden": "true" });
  for (const share of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    const step = el("i");
    tint(step, share * MOST[by], by);
    scale.append(step);
  }
  return el("p.legend", {},
    el("span", { text: () => t(`legend ${by}`) }),
    el("span.ends", {}, el("span", { text: () => `${t(by === "entropy" ? "sure of it" : "certain")} 0` }), scale,
      el("span", { text: () => `${t("bits", { n: `${MOST[by]}+` })} ${t(by === "entropy" ? "unsure" : "surprising")}` })));
}

let shownCard = null;

/** The facts of one token beside it. */
function card(anchor, token, stays, goOn) {
  if (shownCard?.anchor === anchor && (shownCard.stays || !stays)) return;
  closeCard(true);
  const bits = surprise(token);
  const facts = el("dl");
  const fact = (key, value) => facts.append(el("dt", { text: () => t(key) }), el("dd", { text: value }));
  if (bits !== null) {
    fact("probability", percent(Math.exp(token.logProbability)));
    fact("surprise", t("bits", { n: number(bits, 1) }));
  }
  if (typeof token.entropy === "number") fact("entropy", t("bits", { n: number(token.entropy, 1) }));
  const widest = Math.exp(Math.max(...(token.alternatives ?? []).map((other) => other.logProbability)));
  const others = (token.alternatives ?? []).map((other) => {
    const chance = Math.exp(other.logProbability);
    const bar = el("span.track", {}, el("i"));
    bar.firstChild.style.width = `${((100 * chance) / widest).toFixed(1)}%`;
    const inside = [el("code", { text: readable(other.text) }), bar, el("span.value", { text: percent(chance) })];
    const same = other.text === token.text ? ".same" : "";
    return goOn && !isPart(other.text)
      ? el(`button.other${same}`, { type: "button", label: () => t("go on", { token: other.text }), title: () => t("go on", { token: other.text }), onclick: () => { closeCard(true); goOn(other); } }, inside)
      : el(`div.other${same}`, {}, inside);
  });
  const made = el("div.card", { role: "dialog", label: () => readable(token.text) },
    el("code.what", { text: readable(token.text) }), facts,
    others.length ? [el("p.soft", { text: () => t("instead") }), el("div.others", {}, others)] : null);
  made.anchor = anchor;
  made.stays = stays;
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    closeCard(true);
    anchor.focus();
    closeCard(true);
  });
  made.addEventListener("focusout", (event) => { if (!made.contains(event.relatedTarget) && event.relatedTarget) closeCard(true); });
  document.body.append(made);
  anchor.classList.add("chosen");
  const box = anchor.getBoundingClientRect();
  const size = made.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - size.width - 8));
  const below = box.bottom + 6 + size.height < innerHeight;
  made.style.setProperty("left", `${left + scrollX}px`);
  made.style.setProperty("top", `${(below ? box.bottom + 6 : Math.max(8, box.top - size.height - 6)) + scrollY}px`);
  shownCard = made;
  leaving.observe(document.body, { childList: true, subtree: true });
}

// A card goes with its token: where the text is written anew or another model is chosen, no pointer leaves it.
const leaving = new MutationObserver(() => { if (!shownCard?.anchor.isConnected) closeCard(true); });

/** Take the card away; one that a person opened by a click only if `also`. */
export function closeCard(also = true) {
  if (!shownCard || (shownCard.stays && !also)) return;
  const old = shownCard;
  shownCard = null; // before it is removed: that moves the focus, and brings us here again
  leaving.disconnect();
  old.anchor.classList.remove("chosen");
  old.remove();
}

document.addEventListener("pointerdown", (event) => {
  if (shownCard && !shownCard.contains(event.target) && !event.target.closest?.(".token")) closeCard(true);
});
addEventListener("hashchange", () => closeCard(true));
addEventListener("scroll", () => closeCard(false), true);

/** A token as it stands in the text, its line breaks to be seen. */
function visible(text) {
  return text.split("\n").flatMap((part, place) => (place ? [el("span.break", { text: "↵" }), `\n${part}`] : [part]));
}

/** A token by itself: blanks and line breaks have marks. */
export function readable(text) {
  if (!text) return t("nothing");
  return text.replace(/ /g, "·").replace(/\n/g, "↵").replace(/\t/g, "⇥");
}
