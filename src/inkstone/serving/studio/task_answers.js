// The answers of tasks as what they are: bars, coloured words, stretches of a passage, roles, records, texts.

import { el } from "./dom.js";
import { percent } from "./words.js";

export const words = {
  en: {
    sure: "{p} sure", "no answer": "The passage holds no answer.", "best guess": "If there were one: “{text}”", "none found": "Nothing was found.", "no label": "No label is likelier than not.",
    "no predicate": "No predicate was found.", missing: "Missing in it: {names}", field: "Field", value: "Value", "as json": "As JSON", labels: "Labels",
  },
  zh: {
    sure: "把握 {p}", "no answer": "段落里没有答案。", "best guess": "如果一定要答：“{text}”", "none found": "什么也没找到。", "no label": "没有哪个标签的可能性过半。",
    "no predicate": "没有找到谓词。", missing: "其中缺少：{names}", field: "字段", value: "值", "as json": "JSON 原文", labels: "标签",
  },
};

/** One answer; `texts` are what was asked about. */
export function drawAnswer(model, answer, texts, { t }) {
  if (answer.probabilities) return labels(answer, t);
  if (answer.predicates) return roles(answer, texts[0], t);
  if (answer.spans) return [spans(texts[0], answer.spans, t), sure(answer.probability, t)];
  if (answer.tags) return [tags(answer), sure(answer.probability, t)];
  if (answer.words && answer.offsets) return [el("p.cut", {}, answer.words.map((word) => el("span", { text: word }))), sure(answer.probability, t)];
  if ("start" in answer) return passage(answer, texts[0], t);
  if ("translation" in answer) {
    return [el("p.translation", { text: answer.translation }), sure(answer.confidence, t),
      answer.missing && el("p.soft", { text: () => t("missing", { names: answer.missing.join(", ") }) })];
  }
  if ("summary" in answer) return [el("p.translation", { text: answer.summary }), sure(answer.confidence, t)];
  if ("record" in answer) return [record(answer.record, t), sure(answer.confidence, t), asJson(answer.record, t)];
  return el("pre", {}, el("code", { text: JSON.stringify(answer, null, 2) }));
}

function sure(value, t) {
  return typeof value === "number" ? el("p.soft", { text: () => t("sure", { p: percent(value) }) }) : null;
}

/** A hue for each label, far from those of its neighbours. */
function hue(number) {
  return String(Math.round((25 + number * 137.5) % 360));
}

/** A list of names with a number for each, in the order of their first use. */
function numbered(names) {
  return new Map([...new Set(names)].map((name, place) => [name, place]));
}

/** Offsets of the server count characters as Python does; a pair of surrogates is one. */
function sliced(text) {
  const characters = Array.from(text);
  return (begin, end) => characters.slice(begin, end).join("");
}

function labels(answer, t) {
  const chosen = new Set(answer.labels ?? [answer.label]);
  const sorted = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  return [
    el("p.verdict", { text: [...chosen].join(", ") || (() => t("no label")) }),
    el("div.bars", { role: "list" }, sorted.slice(0, 12).map(([name, chance]) => {
      const bar = el("span.track", {}, el("i"));
      bar.firstChild.style.width = `${(100 * chance).toFixed(1)}%`;
      return el(`div.bar${chosen.has(name) ? ".ours" : ""}`, { role: "listitem" }, el("span", { text: name }), bar, el("span.value", { text: () => percent(chance) }));
    })),
  ];
}

function marked(text, label, number) {
  return el("mark", { style: { "--hue": hue(number) } }, el("span", { text }), el("small", { text: label }));
}

/** A text with its spans in colour: names, terms, whatever was tagged. */
function spans(text, found, t) {
  const part = sliced(text);
  const colours = numbered(found.map((each) => each.label));
  const pieces = [];
  let at = 0;
  for (const span of found) {
    if (span.start < at) continue;
    pieces.push(part(at, span.start), marked(part(span.start, span.end), span.label, colours.get(span.label)));
    at = span.end;
  }
  pieces.push(part(at));
  return [el("p.coloured", {}, pieces), found.length ? null : el("p.soft", { text: () => t("none found") })];
}

/** Each word over its tag. */
function tags(answer) {
  const colours = numbered(answer.tags);
  return el("p.tagged", {}, answer.tokens.map((word, place) => marked(word, answer.tags[place], colours.get(answer.tags[place]))));
}

/** A sentence for each predicate, with what takes part in it. */
function roles(answer, text, t) {
  if (!answer.predicates.length) return el("p.soft", { text: () => t("no predicate") });
  return answer.predicates.map((predicate) => {
    const colours = numbered(predicate.roles.map((role) => role.label));
    const parts = [...predicate.roles.map((role) => ({ ...role, of: colours.get(role.label) })), { ...predicate, label: "", verb: true }];
    const byWord = parts.sort((a, b) => a.tokens[0] - b.tokens[0]);
    const pieces = [];
    let at = 0;
    for (const each of byWord) {
      if (each.tokens[0] < at) continue;
      pieces.push(between(answer, text, at, each.tokens[0]));
      pieces.push(each.verb ? el("strong.verb", { text: each.text }) : marked(each.text, [each.label, each.question].filter(Boolean).join(" · "), each.of));
      at = each.tokens[1];
    }
    pieces.push(between(answer, text, at, answer.tokens.length));
    return el("p.coloured", {}, pieces);
  });
}

/** The text from one word to another, blanks around it included. */
function between(answer, text, first, last) {
  if (!answer.offsets) return ` ${answer.tokens.slice(first, last).join(" ")} `;
  const part = sliced(text);
  const begin = first ? answer.offsets[first - 1][1] : 0;
  const end = last < answer.tokens.length ? answer.offsets[last][0] : Infinity;
  return part(begin, end);
}

/** The answer in its passage. */
function passage(answer, text, t) {
  if (answer.start === null) {
    return [el("p.verdict", { text: () => t("no answer") }), answer.best?.text ? el("p.soft", { text: () => t("best guess", { text: answer.best.text }) }) : null];
  }
  const part = sliced(text);
  const found = el("mark.found", { text: part(answer.start, answer.stop) });
  requestAnimationFrame(() => found.scrollIntoView({ block: "nearest" }));
  return [el("p.verdict", { text: answer.text }), sure(answer.confidence, t), el("p.coloured.passage", {}, part(0, answer.start), found, part(answer.stop))];
}

function record(value, t) {
  if (value === null || typeof value !== "object") return el("span", { text: value === null ? "–" : String(value) });
  if (Array.isArray(value)) return value.length ? el("ul.values", {}, value.map((each) => el("li", {}, record(each, t)))) : el("span", { text: "–" });
  return el("div.table", {}, el("table.record", {}, el("tbody", {}, Object.entries(value).map(([name, each]) => el("tr", {}, el("th", { scope: "row", text: name }), el("td", {}, record(each, t)))))));
}

function asJson(value, t) {
  return el("details", {}, el("summary", { text: () => t("as json") }), el("pre", { tabIndex: 0 }, el("code", { text: JSON.stringify(value, null, 2) })));
}
