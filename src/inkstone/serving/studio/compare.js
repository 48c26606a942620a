// Two models side by side on the same words, which one is better, and how all runs stand.

import { answerText, mark, withAnswers } from "./message.js";
import { facts, nothingServed, picker, shortName } from "./models.js";
import { sampling } from "./sampling.js";
import { score } from "./words.js";
import { written } from "./writing.js";

export const words = withAnswers({
  en: {
    title: "The same words, two models", prompt: "What both are given", "prompt what": "A question, or the beginning of a text …", left: "Left", right: "Right",
    ask: "Ask both", better: "This one is better", chosen: "You preferred this one", blind: "Without names, in any order", "is hidden": "one of the two",
    "same model": "Both are the same model: they are drawn with different seeds.", "all runs": "All runs", run: "Run", kind: "Kind", figure: "Score", parameters: "Parameters", time: "Trained for",
    "bits note": "Bits for each byte of text they had never seen: fewer are better. Only figures of the same text can be compared.", "bits per byte": "bits per byte", "how it writes": "How they write",
    answer: "Answer of {name}", minutes: "{n} min", seconds: "{n} s", hours: "{n} h",
  },
  zh: {
    title: "同样的话，两个模型", prompt: "给两个模型的话", "prompt what": "一个问题，或一段文字的开头……", left: "左", right: "右",
    ask: "问两个模型", better: "这个更好", chosen: "你更喜欢这个", blind: "隐去名字并打乱", "is hidden": "两者之一",
    "same model": "两边是同一个模型：用不同的种子抽取。", "all runs": "所有模型", run: "模型", kind: "类型", figure: "得分", parameters: "参数", time: "训练时间",
    "bits note": "未见过的文本平均每字节所需的比特数：越少越好。只有同一文本上的数字才能相比。", "bits per byte": "每字节比特数", "how it writes": "如何书写",
    answer: "{name} 的回答", minutes: "{n} 分钟", seconds: "{n} 秒", hours: "{n} 小时",
  },
});
export const styles = ["chat.css", "compare.css"];

/** The page. */
export async function show(root, context) {
  const { t, el, put, models, fail, tell, signal, params } = context;
  const writers = (await models()).filter((each) => each.kind !== "task");
  if (!writers.length) return nothingServed(root, context, "inkstone serve RUN OTHER-RUN");

  let writing = null;
  signal.addEventListener("abort", () => writing?.abort());
  const note = el("p.soft", { text: () => t("same model"), hidden: true });
  const changed = () => {
    for (const side of sides) side.about.textContent = side.picker.value ? facts(side.picker.value, t) : "";
    note.hidden = sides[0].picker.value?.id !== sides[1].picker.value?.id;
  };
  const sides = ["left", "right"].map((name, place) => ({
    picker: picker(writers, { t, name: () => t(name), remember: `compare-${name}`, wanted: params.get(name) ?? undefined, chosen: () => changed() }),
    about: el("p.soft"),
    title: el("h2"),
    body: el("div.body"),
    foot: el("div.row.foot"),
    place,
  }));
  if (writers.length > 1 && sides[0].picker.value === sides[1].picker.value) sides[1].picker.choose(writers.find((each) => each !== sides[0].picker.value).id);
  const blind = el("input", { type: "checkbox" });
  const field = el("textarea", {
    rows: 3, label: () => t("prompt"), placeholder: () => t("prompt what"), id: "both",
    onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(); },
  });
  const go = el("button", { type: "button", text: () => t("ask"), onclick: () => (writing ? writing.abort() : ask()) });
  const controls = sampling({ max_tokens: 160 });
  const answers = el("div.sides", { hidden: true }, sides.map((side) => el("section.side", {}, side.title, side.body, side.foot)));
  const table = el("section");
  put(root,
    el("h1", { text: () => t("title") }),
    el("div.pickers", {}, sides.map((side) => el("div", {}, side.picker, side.about))), note,
    field,
    el("div.row", {}, go, el("label.check", {}, blind, el("span", { text: () => t("blind") }))),
    el("details", {}, el("summary", { text: () => t("how it writes") }), controls),
    answers, table);
  runs(context, table).catch(fail);

  async function ask() {
    const text = field.value.trim();
    if (!text) return field.focus();
    writing?.abort();
    const controller = (writing = new AbortController());
    context.set(go, "text", () => t("stop"));
    answers.hidden = false;
    const chosen = sides.map((side) => side.picker.value);
    const shuffled = blind.checked && Math.random() < 0.5 ? [chosen[1], chosen[0]] : chosen;
    const settings = controls.values();
    const hides = blind.checked;
    const same = chosen[0] === chosen[1];
    const done = sides.map((side, place) => {
      const model = shuffled[place];
      const own = same && settings.seed !== undefined ? { ...settings, seed: settings.seed + place } : settings;
      return write(side, model, text, own, hides, controller);
    });
    const found = await Promise.all(done);
    if (writing !== controller) return; // asked again meanwhile
    writing = null;
    context.set(go, "text", () => t("ask"));
    if (signal.aborted || found.some((each) => !each?.text.trim()) || found[0].text.trim() === found[1].text.trim()) {
      sides.forEach((side, place) => reveal(side, shuffled[place]));
      return;
    }
    sides.forEach((side, place) => put(side.foot, el("button.quiet", { type: "button", text: () => t("better"), onclick: () => prefer(place) })));

    async function prefer(place) {
      try {
        await mark("better", {
          model: shuffled[place].id, other_model: shuffled[1 - place].id, messages: [{ role: "user", content: text }],
          answer: found[place].text, other: found[1 - place].text, settings,
        });
      } catch (error) { return fail(error); }
      sides.forEach((side, at) => {
        reveal(side, shuffled[at]);
        put(side.foot, at === place ? el("span.chosen", { text: () => t("chosen") }) : null);
      });
      tell(t("mark kept"));
    }
  }

  function reveal(side, model) {
    context.set(side.title, "text", shortName(model.id));
  }

  async function write(side, model, text, settings, hides, controller) {
    const view = answerText("", null, context);
    if (hides) context.set(side.title, "text", () => t("is hidden"));
    else reveal(side, model);
    view.setAttribute("role", "region");
    context.set(view, "label", () => t("answer", { name: hides ? t(side.place ? "right" : "left") : model.id }));
    put(side.body, view);
    put(side.foot);
    view.begin();
    let reason = null;
    const asked = model.kind === "chat" ? { messages: [{ role: "user", content: text }] } : { prompt: text };
    try {
      for await (const piece of written({ model: model.id, ...asked }, settings, controller.signal)) {
        view.grow(piece);
        reason = piece.reason ?? reason;
      }
    } catch (error) {
      if (error.name === "AbortError") reason = "stopped";
      else {
        fail(error);
        reason = "failed";
      }
    }
    view.end(reason);
    return reason === "failed" ? null : view;
  }
}

/** All runs that the studio knows, the best first; nothing where it keeps none. */
async function runs({ t, el, put, api, number, signal, language, go }, root) {
  let found;
  try {
    found = await api("/studio/api/runs", { signal });
  } catch (error) {
    if (error.status === 404) return;
    throw error;
  }
  const all = (found.runs ?? found.data ?? []).filter((each) => each.figure);
  if (!all.length || signal.aborted) return;
  const bits = all.filter((each) => each.figure.name === "bits per byte").sort((a, b) => a.figure.value - b.figure.value);
  const most = Math.max(...bits.map((each) => each.figure.value));
  const compact = (value) => (value ? new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en", { notation: "compact", maximumFractionDigits: 1 }).format(value) : "–");
  put(root, el("h2", { text: () => t("all runs") }),
    bits.length > 1 && el("div.bars", { role: "list" }, bits.map((each, place) => {
      const bar = el("span.track", {}, el("i"));
      bar.firstChild.style.width = `${(100 * each.figure.value) / most}%`;
      return el(`div.bar${place ? "" : ".ours"}`, { role: "listitem" }, el("span", { text: each.name }), bar, el("span.value", { text: () => number(each.figure.value, 3) }));
    })),
    bits.length > 1 && el("p.soft", { text: () => t("bits note") }),
    el("div.table", {}, el("table", {}, el("thead", {}, el("tr", {},
      ["run", "kind"].map((name) => el("th", { text: () => t(name) })), ["figure", "parameters", "time"].map((name) => el("th.n", { text: () => t(name) })))),
    el("tbody", {}, [...bits, ...all.filter((each) => !bits.includes(each))].map((each) => el("tr", {},
      el("td", {}, el("a", { href: `#/runs?run=${encodeURIComponent(each.name)}`, text: each.name })),
      el("td", { text: [each.task, each.family].filter(Boolean).join(" · ") }),
      el("td.n", { text: () => score(each.figure, t) }),
      el("td.n", { text: () => compact(each.parameters) }),
      el("td.n", { text: () => lasted(each.seconds, t, number) })))))));
}

function lasted(seconds, t, number) {
  if (!seconds) return "–";
  if (seconds < 90) return t("seconds", { n: number(seconds) });
  return seconds < 5400 ? t("minutes", { n: number(seconds / 60) }) : t("hours", { n: number(seconds / 3600, 1) });
}
