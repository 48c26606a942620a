// Runs that were tuned for a task: a form that suits each, and its answer drawn as what it is.

import { drawAnswer, words as answerWords } from "./task_answers.js";
import { nothingServed, picker, shortName } from "./models.js";
import { recordings, words as recordingWords } from "./recordings.js";
import { nearest, words as nearestWords } from "./nearest.js";

const own = {
  en: {
    title: "What it was tuned to do", ask: "Ask", text: "Text", "first text": "First text", "second text": "Second text", question: "Question", passage: "Passage",
    to: "Into", "as it is": "as the text suggests", swap: "The other way round", "text what": "Paste or write a text …", "passage what": "The text that holds the answer …",
    classify: "Label", tag: "Tags of words", roles: "Who did what to whom", answer: "Answers from a passage", embed: "Nearest in meaning", summarize: "Summary", translate: "Translation",
    extract: "Record", transcribe: "Speech as text", prefer: "Preferences", chat: "Conversation", result: "Answer", cut: "The end of the text was left out: it is longer than the model reads.",
  },
  zh: {
    title: "它被调来做什么", ask: "提问", text: "文本", "first text": "第一段文本", "second text": "第二段文本", question: "问题", passage: "段落",
    to: "译成", "as it is": "由文本判断", swap: "反方向", "text what": "粘贴或写一段文本……", "passage what": "答案所在的文本……",
    classify: "分类", tag: "词的标注", roles: "谁对谁做了什么", answer: "从段落中找答案", embed: "意思最近的文本", summarize: "摘要", translate: "翻译",
    extract: "记录", transcribe: "语音转文字", prefer: "偏好", chat: "对话", result: "答案", cut: "文本的末尾被略去：它比模型能读的更长。",
  },
};
const all = [answerWords, recordingWords, nearestWords, own];
export const words = { en: Object.assign({}, ...all.map((each) => each.en)), zh: Object.assign({}, ...all.map((each) => each.zh)) };
export const styles = ["tasks.css"];

/** The page. */
export async function show(root, context) {
  const { t, el, put, models, params, set } = context;
  const tuned = (await models()).filter((each) => each.kind === "task");
  if (!tuned.length) return nothingServed(root, context, "inkstone tune classify data.csv --out runs/labels\ninkstone serve runs/labels");
  const heading = el("h1");
  const form = el("div.form");
  const choice = picker(tuned, {
    t, remember: "task", wanted: params.get("model"),
    chosen: (model) => {
      form.leave?.();
      set(heading, "text", () => t(model.task));
      form.leave = mount(model, form, context);
    },
  });
  for (const option of choice.querySelectorAll("option")) {
    const model = tuned.find((each) => each.id === option.value);
    set(option, "text", () => `${shortName(model.id)} · ${t(model.task)}`);
  }
  put(root, el("div.row.apart.head", {}, heading, choice), form);
  return () => form.leave?.();
}

/** The form of a task; returns what is to be called when another one takes its place. */
function mount(model, form, context) {
  if (model.task === "transcribe") return recordings(model, form, context);
  if (model.task === "embed") return nearest(model, form, context);
  const { t, el, put, api, fail, signal } = context;
  const result = el("section.result", { "aria-live": "polite" });
  const fields = [];
  const field = (name, rows, placeholder) => {
    const place = `inkstone-task-${model.task}-${name}`;
    let kept = "";
    try { kept = sessionStorage.getItem(place) ?? ""; } catch { /* not kept */ }
    const area = el("textarea", {
      rows, value: kept, placeholder: () => t(placeholder),
      oninput: () => { try { sessionStorage.setItem(place, area.value); } catch { /* not kept */ } },
      onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(); },
    });
    fields.push(area);
    return el("label", {}, el("span", { text: () => t(name) }), area);
  };
  const go = el("button", { type: "button", text: () => t("ask"), onclick: () => ask() });
  let direction = null;
  let laid;
  if (model.task === "answer") laid = [field("passage", 8, "passage what"), field("question", 2, "text what")];
  else if (model.task === "classify" && model.pairs) laid = [field("first text", 4, "text what"), field("second text", 4, "text what")];
  else laid = [field("text", 6, "text what")];
  if (model.task === "translate" && model.targets.length > 1) {
    direction = el("select", { label: () => t("to") }, el("option", { value: "", text: () => t("as it is") }), model.targets.map((each) => el("option", { value: each, text: () => nameOf(each, context) })));
    const swap = el("button.quiet", {
      type: "button", text: () => t("swap"),
      onclick: () => {
        const written = result.querySelector(".translation")?.textContent;
        if (written) fields[0].value = written;
        const other = model.targets.find((each) => each !== (result.dataset.to || direction.value));
        if (other) direction.value = other;
        ask();
      },
    });
    laid.push(el("div.row", {}, el("label.row", {}, el("span", { text: () => t("to") }), direction), swap));
  }
  put(form, el("div.inputs", {}, laid, el("div.row", {}, go)), result);
  let turn = 0;

  async function ask() {
    const texts = fields.map((each) => each.value.trim());
    if (texts.some((each) => !each)) return fields[texts.findIndex((each) => !each)].focus();
    const body = model.task === "answer" ? { input: texts[1], context: texts[0] } : { input: texts.length > 1 ? texts : texts[0] };
    if (direction?.value) body.to = direction.value;
    const mine = ++turn;
    go.disabled = true;
    result.setAttribute("aria-busy", "true");
    try {
      const found = await api(`/v1/tasks/${encodeURIComponent(model.id)}`, { json: body, signal });
      if (mine !== turn) return;
      const [answer] = found.data;
      result.dataset.to = answer.to ?? "";
      put(result, drawAnswer(model, answer, texts, context), answer.cut && el("p.soft", { text: () => t("cut") }));
    } catch (error) { fail(error); } finally {
      go.disabled = false;
      result.removeAttribute("aria-busy");
    }
  }
  return () => { turn += 1; };
}

/** The name of a language in the language of the page. */
function nameOf(code, { language }) {
  try { return new Intl.DisplayNames([language() === "zh" ? "zh-CN" : "en"], { type: "language" }).of(code) ?? code; } catch { return code; }
}
