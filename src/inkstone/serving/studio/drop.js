// Texts that are dropped onto a page: sent to the server in blocks, so that their size does not matter, and chosen from those it has.

import { api } from "./api.js";
import { el, put, set } from "./dom.js";
import { number, percent } from "./words.js";

const BLOCK = 2 << 20; // bytes of one request

export const words = {
  en: {
    "drop here": "Drop a text here, or choose a file", "drop kinds": "txt, md, jsonl, csv, parquet, html, Wikipedia or Common Crawl, and archives of these",
    sending: "Sending {name}: {share}", text: "Text", "no texts": "No text yet", "delete text": "Delete this text", "text deleted": "The text is deleted",
    "size kB": "{n} kB", "size MB": "{n} MB",
  },
  zh: {
    "drop here": "把文本拖到这里，或选择文件", "drop kinds": "txt、md、jsonl、csv、parquet、html、维基百科或 Common Crawl 文件，以及它们的压缩包",
    sending: "正在发送 {name}：{share}", text: "文本", "no texts": "还没有文本", "delete text": "删除这份文本", "text deleted": "文本已删除",
    "size kB": "{n} kB", "size MB": "{n} MB",
  },
};

/** A size as people say it. */
export function size(bytes, t) {
  return bytes < 1e6 ? t("size kB", { n: number(bytes / 1e3, bytes < 1e4 ? 1 : 0) }) : t("size MB", { n: number(bytes / 1e6, bytes < 1e7 ? 1 : 0) });
}

/** Send a file; the text as the server keeps it. `told(share)` hears how far it is. */
export async function send(file, told, signal) {
  const { id } = await api("/studio/api/data", { json: { name: file.name, bytes: file.size }, signal });
  for (let at = 0; at < file.size; ) {
    const block = file.slice(at, at + BLOCK);
    const answer = await api(`/studio/api/data/${id}?at=${at}`, {
      method: "PUT", body: block, headers: { "Content-Type": "application/octet-stream" }, signal,
    });
    at = answer.at;
    told(at / file.size);
    if (answer.text) return answer.text;
  }
  return null;
}

/**
 * A place to drop a text onto, and the choice among those that are there; `chosen(text)` is told of each choice, null where there is none.
 * `box.value` is the text chosen.
 */
export async function textChoice({ t, fail, tell, signal }, chosen, wanted = null) {
  const input = el("input", { type: "file", label: () => t("drop here"), onchange: () => { take(input.files[0]); input.value = ""; } });
  const progress = el("p.soft", { role: "status" });
  const zone = el("label.drop-text", {},
    input, el("strong", { text: () => t("drop here") }), el("small", { text: () => t("drop kinds") }), progress);
  for (const name of ["dragenter", "dragover"]) zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.remove("over"); });
  zone.addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
  const select = el("select", { label: () => t("text"), onchange: () => chosen?.(box.value) });
  const remove = el("button.quiet", { type: "button", text: () => t("delete text"), onclick: forget });
  const picker = el("div.row.of-texts", {}, el("label.pick", {}, el("span", { text: () => t("text") }), select), remove);
  const box = el("div.texts", {}, zone, picker);
  let texts = [];
  Object.defineProperty(box, "value", { get: () => texts.find((each) => each.id === select.value) ?? null });

  async function list(choose) {
    texts = (await api("/studio/api/data", { signal })).texts;
    put(select, texts.map((each) => el("option", { value: each.id, text: () => `${each.name} · ${size(each.bytes, t)}` })));
    if (choose && texts.some((each) => each.id === choose)) select.value = choose;
    picker.hidden = !texts.length;
    chosen?.(box.value);
  }

  async function take(file) {
    if (!file) return;
    const say = (share) => set(progress, "text", () => t("sending", { name: file.name, share: percent(share) }));
    say(0);
    try {
      const text = await send(file, say, signal);
      await list(text?.id);
    } catch (error) { fail(error); }
    set(progress, "text", "");
  }

  async function forget() {
    try {
      await api(`/studio/api/data/${select.value}`, { method: "DELETE", signal });
      tell(t("text deleted"));
      await list();
    } catch (error) { fail(error); }
  }

  await list(wanted);
  return box;
}
