// The models that are served, and the choice among them.

import { api } from "./api.js";
import { el, put } from "./dom.js";
import { language } from "./words.js";

let asked = null;

/**
 * What is served: [{ id, kind, task, family, context, labels, targets, attention, ... }], kind one of "chat" (a language model with
 * a chat template), "text" (one without), "task" (a run tuned for a task). Asked once; models(true) asks again.
 */
export function models(again = false) {
  if (!asked || again) {
    asked = api("/studio/api/models").then((found) => found.data);
    asked.catch(() => { asked = null; });
  }
  return asked;
}

/**
 * A labelled choice among models; `chosen(model)` is called at once and after each change. The last choice under `remember` is kept
 * for the tab. `picker.value` is the model chosen.
 */
export function picker(found, { t, chosen, remember, wanted, name = () => t("model") }) {
  const kept = wanted ?? read(remember);
  const select = el("select", { label: name });
  for (const each of found) select.append(el("option", { value: each.id, text: shortName(each.id) }));
  if (found.some((each) => each.id === kept)) select.value = kept;
  const box = el("label.pick", {}, el("span", { text: name }), select);
  const current = () => found.find((each) => each.id === select.value);
  Object.defineProperty(box, "value", { get: current });
  box.choose = (id) => {
    select.value = id;
    changed();
  };
  const changed = () => {
    if (remember) try { sessionStorage.setItem(`inkstone-model-${remember}`, select.value); } catch { /* not kept */ }
    chosen?.(current());
  };
  select.addEventListener("change", changed);
  queueMicrotask(() => chosen?.(current()));
  return box;
}

/** What to say where no model of the wanted kind is served: the command that would serve one. */
export function nothingServed(root, { t }, command) {
  put(root, el("div.empty", {},
    el("h1", { text: () => t("no models") }),
    el("p.soft", { text: () => t("serve how") }),
    el("pre", {}, el("code", { text: command }))));
}

/** The last part of a path: all that a list has room for. */
export function shortName(id) {
  return id.split(/[\\/]/).filter(Boolean).pop() ?? id;
}

/** Facts of a model in a line: family, parameters, context. */
export function facts(model, t) {
  const compact = (value) => new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
  return [
    model.family,
    model.parameters && t("n parameters", { n: compact(model.parameters) }),
    model.context && t("n tokens", { n: compact(model.context) }),
  ].filter(Boolean).join(" · ");
}

function read(remember) {
  try { return remember ? sessionStorage.getItem(`inkstone-model-${remember}`) : null; } catch { return null; }
}
