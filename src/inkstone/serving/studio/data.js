// What is in a text: what cleaning drops and why, languages, duplicates, tokens.

import { size, textChoice, words as dropWords } from "./drop.js";

const own = {
  en: {
    title: "What is in your text", looking: "Looking at the text …", documents: "documents", "of them kept": "kept", tokens: "tokens", "bytes a token": "bytes a token",
    "a part": "A part was looked at: {part} of about {all}.", dropped: "What cleaning drops", reason: "Reason", size: "Text", example: "For example", "nothing dropped": "Nothing: every document is kept.",
    languages: "Languages", groups: "Duplicates", "groups note": "{groups} groups; the first of each is kept, {documents} others go.", "no groups": "No document is like another.", exact: "the same", near: "nearly the same", kept: "kept",
    "and more": "and {n} more", "token note": "By a tokenizer of {n} tokens that was learned from this text.", "token note of": "By the tokenizer of {name}, {n} tokens.", "tokenizer": "Tokenizer", "its own": "learned from the text", frequent: "Most frequent tokens", notes: "Seen on the way",
    boilerplate: "{n} lines that recur across documents are taken out.", mojibake: "{n} documents with broken characters were mended.", skipped: "Passed over: {file}: {why}", train: "Train on it", "reason duplicate": "duplicate", "reason near-duplicate": "near-duplicate", "reason too short": "too short",
  },
  zh: {
    title: "你的文本里有什么", looking: "正在查看文本……", documents: "篇文档", "of them kept": "保留", tokens: "词元", "bytes a token": "每个词元的字节数",
    "a part": "只看了一部分：约 {all} 中的 {part}。", dropped: "清洗去掉什么", reason: "原因", size: "文本量", example: "例如", "nothing dropped": "没有：每篇文档都保留。",
    languages: "语言", groups: "重复", "groups note": "{groups} 组；每组保留第一篇，其余 {documents} 篇去掉。", "no groups": "没有彼此相像的文档。", exact: "相同", near: "几乎相同", kept: "保留",
    "and more": "另有 {n} 篇", "token note": "用从这份文本学到的 {n} 词元的分词器。", "token note of": "用 {name} 的分词器，{n} 个词元。", "tokenizer": "分词器", "its own": "从文本中学", frequent: "最常见的词元", notes: "途中所见",
    boilerplate: "去掉了在多篇文档中反复出现的 {n} 行。", mojibake: "修复了 {n} 篇乱码文档。", skipped: "略过 {file}：{why}", train: "用它训练", "reason duplicate": "重复", "reason near-duplicate": "近似重复", "reason too short": "太短",
  },
};
export const words = { en: { ...dropWords.en, ...own.en }, zh: { ...dropWords.zh, ...own.zh } };
export const styles = ["runs.css"];

/** The page. */
export async function show(root, context) {
  const { t, el, put, set, api, fail, signal, params, number, language } = context;
  const found = el("section.found", { "aria-live": "polite" });
  const runs = (await api("/studio/api/runs", { signal })).runs.filter((each) => each.state === "finished" || each.state === "model");
  const tokenizer = el("select", { label: () => t("tokenizer"), onchange: () => look(choice.value) },
    el("option", { value: "", text: () => t("its own") }), runs.map((each) => el("option", { value: each.name, text: each.name })));
  let turn = 0;
  let choice = null;
  choice = await textChoice(context, (text) => look(text), params.get("text"));
  put(root, el("h1", { text: () => t("title") }), choice,
    el("label.pick.tokenizer", {}, el("span", { text: () => t("tokenizer") }), tokenizer), found);

  async function look(text) {
    const mine = ++turn;
    if (!text) return put(found);
    put(found, el("p.soft", {}, el("span.waiting", { "aria-hidden": "true" }), " ", el("span", { text: () => t("looking") })));
    const of = tokenizer.value ? `?tokenizer=${encodeURIComponent(tokenizer.value)}` : "";
    try {
      const facts = await api(`/studio/api/data/${text.id}${of}`, { signal });
      if (mine === turn && !signal.aborted) draw(facts);
    } catch (error) {
      if (mine === turn) put(found);
      fail(error);
    }
  }

  function draw(facts) {
    const { tokens } = facts;
    const compact = (value) => new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
    const why = (reason) => (`reason ${reason}` in own.en ? t(`reason ${reason}`) : reason);
    put(found,
      el("dl.numbers", {},
        big(facts.documents, "documents"), big(facts.kept_documents, "of them kept"),
        tokens && el("div", {}, el("dt", { text: () => t("tokens") }), el("dd", { text: () => compact(tokens.count) })),
        tokens && el("div", {}, el("dt", { text: () => t("bytes a token") }), el("dd", { text: () => number(tokens.bytes_per_token, 2) }))),
      facts.part && el("p.soft", { text: () => t("a part", { part: size(facts.part.bytes, t), all: size(facts.part.of ?? facts.part.bytes, t) }) }),
      el("p", {}, el("a.button", { href: `#/runs?text=${facts.text.id}`, text: () => t("train") })),
      el("h2", { text: () => t("dropped") }),
      facts.dropped.length ? el("div.table", { tabIndex: 0 }, el("table", {},
        el("thead", {}, el("tr", {}, el("th", { text: () => t("reason") }), el("th.n", { text: () => t("documents") }), el("th.n", { text: () => t("size") }), el("th", { text: () => t("example") }))),
        el("tbody", {}, facts.dropped.map((each) => el("tr", {},
          el("td", { text: () => why(each.reason) }), el("td.n", { text: () => number(each.documents) }), el("td.n", { text: () => size(each.bytes, t) }),
          el("td.sample", {}, each.examples.slice(0, 2).map(([id, text]) => el("div", {}, el("small.soft", { text: `${id} ` }), text)))))))) : el("p.soft", { text: () => t("nothing dropped") }),
      el("h2", { text: () => t("languages") }),
      el("div.bars", { role: "list" }, Object.entries(facts.languages).slice(0, 8).map(([code, share]) => bar(name(code), share.bytes, facts.kept_bytes))),
      el("h2", { text: () => t("groups") }),
      facts.groups.length ? el("p.soft", { text: () => t("groups note", { groups: number(facts.repeated.groups), documents: number(facts.repeated.documents) }) }) : el("p.soft", { text: () => t("no groups") }),
      facts.groups.map((group) => el("details.group", {},
        el("summary", { text: `${group.documents} × ${group.kept.text.slice(0, 90)}` }),
        el("ul", {}, item(group.kept, "kept"), group.copies.map((copy) => item(copy, copy.exact ? "exact" : "near"))),
        group.documents - 1 > group.copies.length && el("p.soft", { text: () => t("and more", { n: number(group.documents - 1 - group.copies.length) }) }))),
      tokens && [el("h2", { text: () => t("frequent") }),
        el("p.soft", { text: () => t(tokens.tokenizer ? "token note of" : "token note", { name: tokens.tokenizer, n: number(tokens.vocabulary) }) }),
        el("p.tokens-row", {}, tokens.frequent.map(([token, count]) => el("span.token-chip", {}, visible(token), el("small", { text: number(count) }))))],
      noted(facts));
  }

  function big(value, what) {
    return el("div", {}, el("dt", { text: () => t(what) }), el("dd", { text: () => number(value) }));
  }

  function item(document, how) {
    return el("li", {}, el("small.soft", { text: () => `${t(how)} · ${document.id}` }), el("div", { text: document.text }));
  }

  function bar(label, part, whole) {
    const track = el("span.track", {}, el("i"));
    track.firstChild.style.width = `${(100 * part) / Math.max(1, whole)}%`;
    return el("div.bar", { role: "listitem" }, el("span", { text: label }), track, el("span.value", { text: () => size(part, t) }));
  }

  function name(code) {
    return () => {
      try { return new Intl.DisplayNames(language() === "zh" ? "zh-CN" : "en", { type: "language" }).of(code); } catch { return code; }
    };
  }

  function noted(facts) {
    const said = [
      ...facts.notes,
      facts.boilerplate.lines && t("boilerplate", { n: number(facts.boilerplate.lines) }),
      facts.repairs.mojibake && t("mojibake", { n: number(facts.repairs.mojibake) }),
      ...facts.skipped.map(([file, why]) => t("skipped", { file, why })),
    ].filter(Boolean);
    return said.length > 0 && [el("h2", { text: () => t("notes") }), el("ul", {}, said.map((each) => el("li", { text: each })))];
  }
}

/** Blanks and line ends as something to see. */
function visible(token) {
  return token.replace(/ /g, "·").replace(/\n/g, "⏎").replace(/\t/g, "→") || "∅";
}
