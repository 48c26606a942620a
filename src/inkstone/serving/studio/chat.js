// Conversations, and texts to be gone on with: what is written streams in, can be stopped, asked for again, edited and marked.

import { completion, words as completionWords } from "./completion.js";
import { asMessages, begun, forget, keep, kept, said } from "./conversations.js";
import { answerText, copy, rename, thumbs, tool, withAnswers } from "./message.js";
import { facts, nothingServed, picker } from "./models.js";
import { sampling } from "./sampling.js";
import { written } from "./writing.js";

const own = {
  en: {
    new: "New conversation", conversations: "Conversations", settings: "Settings", system: "System prompt", "system what": "What the model is told before the conversation",
    ask: "Write to the model", "ask what": "Ask something …", hello: "What would you like to know?", again: "Answer again", edit: "Edit", "edit done": "Send it so",
    delete: "Delete", "delete all": "Delete all", talk: "Conversation", text: "Text", mode: "What it does", version: "{n} of {all}", before: "Earlier answer", after: "Later answer",
    you: "You", untitled: "Without words", "keys": "Enter sends, Shift + Enter begins a line", log: "The conversation",
  },
  zh: {
    new: "新对话", conversations: "对话", settings: "设置", system: "系统提示", "system what": "对话开始前告诉模型的话",
    ask: "写给模型", "ask what": "问点什么……", hello: "想知道什么？", again: "重新回答", edit: "编辑", "edit done": "这样发送",
    delete: "删除", "delete all": "全部删除", talk: "对话", text: "续写", mode: "做什么", version: "第 {n} 个，共 {all} 个", before: "前一个回答", after: "后一个回答",
    you: "你", untitled: "没有文字", "keys": "回车发送，Shift + 回车换行", log: "对话内容",
  },
};
const both = withAnswers(own);
export const words = { en: { ...completionWords.en, ...both.en }, zh: { ...completionWords.zh, ...both.zh } };
export const styles = ["chat.css"];

/** The page. */
export async function show(root, context) {
  const { t, el, put, models, fail, params, signal, icon } = context;
  const writers = (await models()).filter((each) => each.kind !== "task");
  if (!writers.length) return nothingServed(root, context, "inkstone serve RUN");

  let model = null;
  let conversation = begun();
  let mode = "talk";
  let writing = null; // the controller of the answer being written
  const deleted = new Set(); // conversations that an answer on its way must not bring back

  const stop = () => {
    writing?.abort();
    stage.firstElementChild?.stop?.();
  };
  signal.addEventListener("abort", stop);

  const stage = el("div.stage");
  // what is around the conversation
  const list = el("ul.conversations");
  const system = el("textarea", { rows: 3, placeholder: () => t("system what"), oninput: () => { conversation.system = system.value; } });
  const controls = el("div");
  const log = el("div.log", { role: "log", label: () => t("log"), tabIndex: 0 });
  const field = el("textarea", {
    rows: 1, id: "ask", label: () => t("ask"), placeholder: () => t("ask what"), title: () => t("keys"), oninput: grow,
    onkeydown: (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!writing) send();
    },
  });
  const go = tool("send", () => t("send"), () => (writing ? stop() : send()), { className: "switch go" });
  const composer = el("form.composer", { onsubmit: (event) => event.preventDefault() }, el("div.box", {}, field, go));
  const about = el("p.soft.about");
  const modes = el("div.modes", { role: "group", label: () => t("mode") }, ["talk", "text"].map((each) =>
    el("button.quiet", { type: "button", text: () => t(each), dataset: { mode: each }, onclick: () => { mode = each; stop(); mount(); } })));
  const choice = picker(writers, {
    t, remember: "chat", wanted: params.get("model"),
    chosen: (found) => {
      stop();
      model = found;
      about.textContent = facts(model, t);
      if (model.kind === "text") mode = "text";
      else if (mode === "text") mode = "talk";
      modes.hidden = model.kind === "text";
      mount();
    },
  });
  const left = drawer("conversations", [
    el("button.quiet.wide", { type: "button", onclick: fresh }, icon("plus"), el("span", { text: () => t("new") })),
    list,
    el("button.quiet.faint", { type: "button", text: () => t("delete all"), id: "delete-all", onclick: () => { deleted.add(conversation.id); forget(); fresh(); } }),
  ]);
  const right = drawer("settings", [
    choice, about, modes,
    el("label.system", {}, el("span", { text: () => t("system") }), system),
    controls,
  ]);
  const bar = el("div.bar-of-drawers", {}, left.opener, el("strong.title"), right.opener);
  put(root, left, el("section.talk", {}, bar, stage), right);
  listAll();

  /** A column beside the conversation; on small screens it slides in. */
  function drawer(name, content) {
    const id = `drawer-${name}`;
    const box = el("aside.drawer", { id, label: () => t(name), dataset: { name } },
      el("div.row.apart", {}, el("h2", { text: () => t(name) }), tool("close", () => t("close"), () => toggle(false), { className: "switch shut" })), content);
    const toggle = (open) => {
      box.classList.toggle("open", open);
      box.opener.setAttribute("aria-expanded", String(open));
      if (!open && box.contains(document.activeElement)) box.opener.focus();
    };
    box.shut = () => toggle(false);
    box.addEventListener("keydown", (event) => { if (event.key === "Escape") toggle(false); });
    box.opener = tool(name === "settings" ? "settings" : "list", () => t(name), () => toggle(!box.classList.contains("open")), {
      "aria-expanded": "false", "aria-controls": id,
    });
    return box;
  }

  /** Put the conversation, or the text, on the stage. */
  function mount() {
    for (const button of modes.children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    const talks = mode === "talk";
    root.querySelector(".system").hidden = !talks;
    left.classList.toggle("away", !talks);
    left.opener.hidden = !talks;
    system.value = conversation.system;
    const kept = sampling(conversation.settings, (settings) => { conversation.settings = settings; });
    put(controls, kept);
    controls.values = kept.values;
    root.querySelector(".title").textContent = model.id;
    if (talks) {
      put(stage, log, composer);
      drawLog();
    } else put(stage, completion({ ...context, model, values: () => controls.values(), settings: () => conversation.settings }));
  }

  function fresh() {
    stop();
    conversation = begun(conversation.settings, conversation.system);
    left.shut();
    mount();
    listAll();
    field.focus();
  }

  function listAll() {
    const all = kept();
    root.querySelector("#delete-all").hidden = !all.length;
    put(list, all.map((each) => el("li", {},
      el("button", {
        type: "button", text: each.title || (() => t("untitled")), "aria-current": each.id === conversation.id ? "true" : "false",
        onclick: () => { stop(); conversation = each; left.shut(); mount(); listAll(); },
      }),
      tool("bin", () => t("delete"), () => { deleted.add(each.id); forget(each.id); if (each.id === conversation.id) fresh(); else listAll(); }))));
  }

  function grow() {
    field.style.setProperty("height", "auto");
    field.style.setProperty("height", `${Math.min(field.scrollHeight + 2, innerHeight * 0.4)}px`);
  }

  function drawLog() {
    if (!conversation.messages.length) {
      put(log, el("div.hello", {}, el("h1", { text: () => t("hello") }), el("p.soft", { text: `${model.id} · ${facts(model, t)}` })));
      return;
    }
    put(log, conversation.messages.map((message, place) => (message.role === "user" ? question(message, place) : answer(message, place))));
    log.scrollTop = log.scrollHeight;
  }

  function question(message, place) {
    const text = el("div.words", { text: said(message) });
    const box = el("article.asked", { label: () => t("you") }, text, el("div.tools", {},
      tool("edit", () => t("edit"), () => {
        const edited = el("textarea", { label: () => t("edit"), value: said(message), rows: Math.min(8, said(message).split("\n").length + 1) });
        put(box, edited, el("div.row.end", {},
          el("button.quiet", { type: "button", text: () => t("cancel"), onclick: drawLog }),
          el("button", {
            type: "button", text: () => t("edit done"),
            onclick: () => {
              stop();
              conversation.messages.length = place;
              ask(edited.value);
            },
          })));
        edited.focus();
      }),
      tool("copy", () => t("copy"), () => copy(said(message), context))));
    return box;
  }

  function answer(message, place) {
    const found = message.facts?.[message.at] ?? {};
    const view = answerText(said(message), found.tokens, context);
    if (found.reason) view.end(found.reason);
    const marks = thumbs(() => ({
      model: found.model ?? model.id, messages: asMessages(conversation, place), answer: said(message), settings: found.settings ?? controls.values(),
    }), found, context);
    const tokens = tool("list", () => t("show tokens"), () => {
      const on = tokens.getAttribute("aria-pressed") !== "true";
      tokens.setAttribute("aria-pressed", String(on));
      view.showTokens(on);
    }, { "aria-pressed": "false", className: "switch as-tokens" });
    tokens.hidden = !found.tokens?.length;
    const turn = (to) => { message.at = to; keep(stored()); drawLog(); };
    const tools = el("div.tools", {}, marks, tool("copy", () => t("copy"), () => copy(said(message), context)),
      tool("again", () => t("again"), () => { if (!writing) write(message, place); }), tokens,
      message.versions.length > 1 && [
        tool("list", () => t("before"), () => turn(message.at - 1), { disabled: message.at === 0, className: "switch before" }),
        el("span.soft", { text: () => t("version", { n: message.at + 1, all: message.versions.length }) }),
        tool("list", () => t("after"), () => turn(message.at + 1), { disabled: message.at === message.versions.length - 1, className: "switch after" }),
      ]);
    const box = el("article.said", { label: () => found.model ?? model.id }, view, tools);
    box.view = view;
    return box;
  }

  function send() {
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    grow();
    ask(text);
  }

  function ask(text) {
    conversation.messages.push({ role: "user", versions: [text], at: 0 });
    conversation.title ||= text.slice(0, 80);
    write({ role: "assistant", versions: [], at: -1, facts: [] }, conversation.messages.length);
  }

  /** Let the model write an answer at this place of the conversation. */
  async function write(message, place) {
    const mine = conversation;
    const controller = (writing = new AbortController());
    const settings = controls.values();
    const messages = asMessages(mine, place);
    mine.messages.length = place;
    message.facts ??= message.versions.map(() => ({}));
    message.versions.push("");
    message.at = message.versions.length - 1;
    const fact = (message.facts[message.at] = { model: model.id, settings });
    mine.messages.push(message);
    drawLog();
    const { view } = log.lastElementChild;
    view.begin();
    put(go, icon("stop"));
    rename(go, () => t("stop"));
    let reason = null;
    let failed = null;
    try {
      for await (const piece of written({ model: model.id, messages }, settings, controller.signal)) {
        const near = log.scrollHeight - log.scrollTop - log.clientHeight < 120;
        view.grow(piece);
        reason = piece.reason ?? reason;
        if (near) requestAnimationFrame(() => { log.scrollTop = log.scrollHeight; });
      }
    } catch (error) {
      if (error.name === "AbortError") reason = "stopped";
      else failed = error;
    }
    if (writing === controller) {
      writing = null;
      put(go, icon("send"));
      rename(go, () => t("send"));
    }
    message.versions[message.at] = view.text;
    Object.assign(fact, { tokens: view.tokens, reason });
    if (failed && !view.text) {
      message.versions.pop();
      message.facts.pop();
      message.at = message.versions.length - 1;
      if (!message.versions.length) mine.messages.pop();
    }
    if (mine.messages.length && !deleted.has(mine.id)) keep(stored(mine));
    if (signal.aborted) return;
    if (mine === conversation) drawLog();
    listAll();
    if (failed) fail(failed);
  }

  /** What is kept of a conversation: its words, not its tokens. */
  function stored(one = conversation) {
    return { ...one, messages: one.messages.map(({ role, versions, at }) => ({ role, versions, at })) };
  }

  return stop;
}
