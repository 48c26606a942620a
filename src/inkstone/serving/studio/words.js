// The language of the page, and the words that all pages share. Each page has a dictionary of its own beside its code.

import { sayAgain } from "./dom.js";

const words = {
  en: {
    chat: "Chat", compare: "Compare", tasks: "Tasks", attention: "Attention", runs: "Runs", data: "Data", feedback: "Feedback",
    "page title": "{page} · Inkstone 砚",
    skip: "Skip to the page", pages: "Pages",
    "other language": "中文", "to dark": "Dark colours", "to light": "Light colours",
    key: "API key", "key why": "This server asks for a key. It stays in this tab and is forgotten when you close it.",
    "key save": "Use this key", "key forget": "Forget it", cancel: "Cancel", close: "Close",
    "no answer": "The server does not answer. Is `inkstone serve` still running?",
    "broken answer": "The server answered {status} without saying why.",
    "broken stream": "The answer broke off before its end.",
    "no page": "There is no page “{page}”.", "page failed": "The page could not be opened: {message}",
    loading: "Loading …", model: "Model", "no models": "No model of this kind is served.",
    "serve how": "Start the server with a run that does this:",
    copied: "Copied", copy: "Copy", more: "More", less: "Less", none: "none",
    "n parameters": "{n} parameters", "n tokens": "reads {n} tokens",
  },
  zh: {
    chat: "对话", compare: "比较", tasks: "任务", attention: "注意力", runs: "模型", data: "数据", feedback: "反馈",
    "page title": "{page} · 砚 Inkstone",
    skip: "跳到正文", pages: "页面",
    "other language": "English", "to dark": "深色", "to light": "浅色",
    key: "API 密钥", "key why": "此服务器需要密钥。密钥只留在这个标签页里，关闭后即忘记。",
    "key save": "使用此密钥", "key forget": "忘记密钥", cancel: "取消", close: "关闭",
    "no answer": "服务器没有回应。`inkstone serve` 还在运行吗？",
    "broken answer": "服务器返回 {status}，没有说明原因。",
    "broken stream": "回答没有写完就中断了。",
    "no page": "没有“{page}”这个页面。", "page failed": "页面打不开：{message}",
    loading: "正在加载……", model: "模型", "no models": "服务器上没有这类模型。",
    "serve how": "请用能做这件事的模型启动服务器：",
    copied: "已复制", copy: "复制", more: "更多", less: "收起", none: "无",
    "n parameters": "{n} 参数", "n tokens": "可读 {n} 个词元",
  },
};

const heard = new Set();

/** "en" or "zh". */
export function language() {
  return document.documentElement.lang.startsWith("zh") ? "zh" : "en";
}

/** Speak another language from now on; everything on the page that was said by a function is said anew. */
export function speak(chosen) {
  document.documentElement.lang = chosen === "zh" ? "zh-Hans" : "en";
  try { localStorage.setItem("inkstone-language", chosen); } catch { /* a browser that keeps nothing */ }
  sayAgain();
  for (const listener of heard) listener(chosen);
}

/** Be told when the language changes; the function returned ends that. */
export function onLanguage(listener) {
  heard.add(listener);
  return () => heard.delete(listener);
}

/** The phrases of a page's own dictionary, and of the shared one: t(key, { name: value }). */
export function speaker(own = { en: {}, zh: {} }) {
  return (key, values = {}) => {
    const spoken = language();
    const phrase = own[spoken]?.[key] ?? words[spoken][key] ?? own.en?.[key] ?? words.en[key] ?? key;
    return phrase.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  };
}

/** A number as the language writes it, with so many digits after the point. */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en", {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  }).format(value);
}

/** The score of a run with its name: a share as a percentage, what has a unit as it is. */
export function score({ name, value, unit }, t) {
  if (name === "bits per byte") return `${number(value, 3)} ${t(name)}`;
  return `${unit ? number(value, 3) : `${number(100 * value, 1)} %`} ${name}`;
}

/** 0.873 → 87 % */
export function percent(value) {
  return `${number(100 * value, value > 0 && value < 0.1 ? 1 : 0)} %`;
}
