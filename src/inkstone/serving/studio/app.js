// The shell: header, pages by hash, language, colours, key, and errors in words.
//
// A page is a module beside this file:
//   export const words = { en: {...}, zh: {...} }      its phrases, asked for by context.t(key, values)
//   export const styles = ["chat.css"]                  optional: its style sheets
//   export async function show(root, context)           fills the empty element `root`; may return a function that is
//                                                       called when the page is left
// context: t, api, events, el, put, icon, language(), onLanguage(listener) until the page is left, number, percent, params (of the
// hash), go(hash), fail(error), tell(words), models(), and signal, which is aborted when the page is left.

import { ApiError, api, events, keepKey, key } from "./api.js";
import { el, icon, put, set, svg } from "./dom.js";
import { models } from "./models.js";
import { isDark, onSystemTheme, switchTheme } from "./theme.js";
import { language, number, onLanguage, percent, speak, speaker } from "./words.js";

const PAGES = ["chat", "compare", "tasks", "attention", "runs", "data", "feedback"];
const t = speaker();
const main = document.getElementById("page");
const notices = document.getElementById("notices");
let leave = () => {};
let turn = 0; // of the page being opened, so that a slow one does not overwrite the next

function header() {
  set(document.getElementById("skip"), "text", () => t("skip"));
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the hash names the page
    main.focus();
  });
  const nav = document.getElementById("pages");
  set(nav, "label", () => t("pages"));
  put(nav, PAGES.map((name) => el("a", { href: `#/${name}`, text: () => t(name), dataset: { page: name } })));
  const theme = el("button.switch", { type: "button", id: "theme", onclick: () => { switchTheme(); dressTheme(); } });
  const dressTheme = () => {
    put(theme, icon(isDark() ? "sun" : "moon"));
    set(theme, "label", () => t(isDark() ? "to light" : "to dark"));
    set(theme, "title", () => t(isDark() ? "to light" : "to dark"));
  };
  dressTheme();
  onSystemTheme(dressTheme);
  put(
    document.getElementById("switches"),
    el("button.switch", { type: "button", id: "key", label: () => t("key"), title: () => t("key"), onclick: askKey }, icon("key")),
    theme,
    el("button.switch.language", {
      type: "button", id: "language", text: () => t("other language"),
      onclick: () => speak(language() === "zh" ? "en" : "zh"),
    }),
  );
}

/** Ask for the key; true once one was given. */
function askKey() {
  return new Promise((resolve) => {
    const field = el("input", { type: "password", autocomplete: "off", value: key(), id: "key-field" });
    const dialog = el("dialog.sheet", { "aria-labelledby": "key-name", onclose: () => { dialog.remove(); resolve(Boolean(key())); } },
      el("form", {
        method: "dialog",
        onsubmit: (event) => {
          event.preventDefault();
          keepKey(field.value.trim());
          dialog.close();
          open();
        },
      },
        el("h2", { id: "key-name", text: () => t("key") }),
        el("p.soft", { text: () => t("key why") }),
        el("label", { htmlFor: "key-field" }, el("span", { text: () => t("key") }), field),
        el("div.row.end", {},
          el("button.quiet", { type: "button", text: () => t("cancel"), onclick: () => dialog.close() }),
          el("button.quiet", { type: "button", text: () => t("key forget"), hidden: !key(), onclick: () => { keepKey(""); dialog.close(); } }),
          el("button", { type: "submit", text: () => t("key save") }))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Show an error where it cannot be missed; a missing key is asked for. */
function fail(error) {
  if (error?.name === "AbortError") return;
  if (error instanceof ApiError && error.status === 401 && !document.querySelector("dialog[open]")) askKey();
  if (!(error instanceof ApiError)) console.error(error);
  notice(error?.message ?? String(error), "wrong");
}

/** Say something for a few seconds. */
function tell(words) {
  const said = notice(words, "told");
  setTimeout(() => said.remove(), 4000);
}

function notice(words, kind) {
  for (const old of notices.children) if (old.dataset.words === words) old.remove();
  const shown = el(`div.notice.${kind}`, { dataset: { words } }, el("span", { text: words }),
    el("button.switch", { type: "button", label: () => t("close"), onclick: () => shown.remove() }, icon("close")));
  notices.append(shown);
  return shown;
}

/** Go to a page: go("#/chat?model=NAME"). */
function go(hash) {
  if (location.hash === hash) open();
  else location.hash = hash;
}

async function open() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const name = path || PAGES[0];
  const mine = ++turn;
  leave();
  leave = () => {};
  notices.replaceChildren();
  for (const link of document.querySelectorAll("#pages a")) {
    if (link.dataset.page === name) {
      link.setAttribute("aria-current", "page");
      const row = link.parentElement; // scrollIntoView would also make Tab begin there
      row.scrollLeft = link.offsetLeft - row.offsetLeft - (row.clientWidth - link.clientWidth) / 2;
    } else link.removeAttribute("aria-current");
  }
  document.title = t("page title", { page: t(name) });
  document.body.dataset.page = name;
  if (!PAGES.includes(name)) {
    put(main);
    return fail(new ApiError(t("no page", { page: name })));
  }
  const ended = new AbortController();
  try {
    const page = await import(`./${name}.js`);
    await Promise.all((page.styles ?? []).map(wear));
    if (mine !== turn) return;
    const root = el("div.page", { dataset: { page: name } });
    put(main, root);
    const context = {
      t: speaker(page.words), api, events, el, put, set, svg, icon, language, number, percent, go, fail, tell, models,
      onLanguage: (listener) => ended.signal.addEventListener("abort", onLanguage(listener)),
      params: new URLSearchParams(query), signal: ended.signal,
    };
    const left = await page.show(root, context);
    const finish = () => { ended.abort(); left?.(); };
    if (mine === turn) leave = finish;
    else finish();
    main.dataset.ready = name;
  } catch (error) {
    ended.abort();
    if (mine !== turn) return;
    if (error instanceof ApiError) fail(error);
    else fail(Object.assign(error, { message: t("page failed", { message: error.message }) }));
  }
}

/** Put on a style sheet, once. */
function wear(name) {
  const id = `style-${name}`;
  if (document.getElementById(id)) return Promise.resolve();
  return new Promise((resolve) => {
    document.head.append(el("link", { rel: "stylesheet", href: `/studio/${name}`, id, onload: resolve, onerror: resolve }));
  });
}

header();
onLanguage(() => { document.title = t("page title", { page: t(document.body.dataset.page) }); });
addEventListener("hashchange", open);
open();
