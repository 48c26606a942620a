// Tokens can end in the middle of a character; the API then spells the bytes out (\xe7\xa0). Here such tokens are put together
// until their characters are whole: one token to be seen, as likely as all of its parts together.

const BYTES = /\\x([89a-f][0-9a-f])/g;
const MOST_PARTS = 12; // bytes that are no text at all would be waited for without end

/** Whether a token's text spells bytes out. */
export function isPart(text) {
  return text.search(BYTES) >= 0;
}

/** A function that takes tokens as they come and gives those that are whole; asked with `last`, it gives the rest as well. */
export function joiner() {
  let parts = [];
  const take = () => {
    const taken = parts.length === 1 ? parts[0] : together(parts);
    parts = [];
    return taken;
  };
  return (tokens, last = false) => {
    const found = [];
    for (const token of tokens) {
      parts.push(token);
      if (decoded(parts.map((each) => each.text), true) !== null || parts.length >= MOST_PARTS) found.push(take());
    }
    if (last && parts.length) found.push(take());
    return found;
  };
}

/** Tokens as one: its text, the sum of the log-probabilities, and the alternatives to the first. */
function together(parts) {
  const logs = parts.map((each) => each.logProbability);
  return {
    ...parts[0],
    text: decoded(parts.map((each) => each.text), false),
    logProbability: logs.includes(null) ? null : logs.reduce((sum, each) => sum + each, 0),
    parts: parts.length,
  };
}

/** The text of tokens with their bytes put in place; null where it ends within a character and only whole ones are wanted. */
function decoded(texts, whole) {
  const text = texts.join("");
  if (!isPart(text)) return text;
  const encoder = new TextEncoder();
  const bytes = [];
  let at = 0;
  for (const found of text.matchAll(BYTES)) {
    bytes.push(...encoder.encode(text.slice(at, found.index)), parseInt(found[1], 16));
    at = found.index + found[0].length;
  }
  bytes.push(...encoder.encode(text.slice(at)));
  try {
    return new TextDecoder("utf-8", { fatal: whole }).decode(new Uint8Array(bytes));
  } catch { return null; }
}
