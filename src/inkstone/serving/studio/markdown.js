// The little Markdown that models write: paragraphs, headings, lists, quotes, code, bold, italics, links' words.
// Every piece of text becomes a text node; no address is ever followed, and nothing that was written can become markup.

import { el } from "./dom.js";

const INLINE = /(`+)([\s\S]+?)\1|\*\*(?=\S)([\s\S]+?\S)\*\*|(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])/;

const DEEPEST = 8; // quotes within quotes; beyond them the signs are text

/** The text as elements, inside so many quotes. */
export function rendered(text, quotes = 0) {
  const parts = document.createDocumentFragment();
  const lines = text.split("\n");
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const fence = line.match(/^\s{0,3}(```+|~~~+)\s*([\w+#.-]*)/);
    if (fence) {
      const code = [];
      at += 1;
      while (at < lines.length && !lines[at].trimStart().startsWith(fence[1])) code.push(lines[at++]);
      at += 1;
      parts.append(codeBlock(code.join("\n"), fence[2]));
    } else if (!line.trim()) at += 1;
    else if (/^#{1,6}\s/.test(line)) {
      parts.append(el("p.heading", {}, inline(line.replace(/^#+\s+/, ""))));
      at += 1;
    } else if (item(line)) {
      const ordered = item(line).ordered;
      const list = el(ordered ? "ol" : "ul");
      if (ordered) list.start = item(line).number;
      while (at < lines.length && item(lines[at]) && item(lines[at]).ordered === ordered) {
        list.append(el("li", {}, inline(item(lines[at]).words)));
        at += 1;
      }
      parts.append(list);
    } else if (quotes < DEEPEST && /^\s{0,3}>/.test(line)) {
      const quoted = [];
      while (at < lines.length && /^\s{0,3}>/.test(lines[at])) quoted.push(lines[at++].replace(/^\s{0,3}>\s?/, ""));
      parts.append(el("blockquote", {}, rendered(quoted.join("\n"), quotes + 1)));
    } else {
      const words = [];
      while (at < lines.length && lines[at].trim() && !(words.length && begins(lines[at]))) words.push(lines[at++]);
      parts.append(el("p", {}, inline(words.join("\n"))));
    }
  }
  return parts;
}

function begins(line) {
  return /^\s{0,3}(```|~~~|>|#{1,6}\s)/.test(line) || item(line);
}

function item(line) {
  const found = line.match(/^\s{0,6}(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/);
  return found && { ordered: found[1] === undefined, number: Number(found[2] ?? 1), words: found[3] };
}

/** Code with its language and nothing but text in it. */
function codeBlock(code, name) {
  return el("pre", name ? { dataset: { language: name } } : {}, el("code", { text: code }));
}

function inline(text) {
  const parts = document.createDocumentFragment();
  let rest = text;
  let found;
  while ((found = rest.match(INLINE))) {
    parts.append(rest.slice(0, found.index));
    if (found[2] !== undefined) parts.append(el("code", { text: found[2] }));
    else if (found[3] !== undefined) parts.append(el("strong", {}, inline(found[3])));
    else parts.append(el("em", {}, inline(found[4])));
    rest = rest.slice(found.index + found[0].length);
  }
  parts.append(rest);
  return parts;
}
