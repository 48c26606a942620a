// Tokens can end in the middle of a character; the API then spells the bytes out (\xe7\xa0). Here such tokens are put together
// until their characters are whole: one token to be seen, as likely as all of its parts together.

const BYTES = /\\x([89a-f][0-9a-f])/g;

/** Whether a token's text spells bytes out. */
export function isPart(text) {
  return text.search(BYTES) >= 0;
}

/** A function that takes tokens as they come and gives those that are whole; asked with `last`, it gives the rest as well. */
export function joiner() {
  let parts = [];
  const take = () => {
    const taken = parts.length === 1 && !isPart(parts[0].text) ? parts[0] : together(parts);
    parts = [];
    return taken;
  };
  return (tokens, last = false) => {
    const found = [];
    for (const token of tokens) {
      parts.push(token);
      if (!unfinished(parts.map((each) => each.text).join(""))) found.push(take());
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
    text: new TextDecoder().decode(spelled(parts.map((each) => each.text).join(""))),
    logProbability: logs.includes(null) ? null : logs.reduce((sum, each) => sum + each, 0),
    parts: parts.length,
  };
}

/** Whether a text ends within a character that can still be made whole. Bytes that are no text at all are not waited for. */
function unfinished(text) {
  if (!isPart(text)) return false;
  const bytes = spelled(text);
  const strict = { fatal: true };
  try {
    new TextDecoder("utf-8", strict).decode(bytes, { stream: true });
  } catch { return false; }
  try {
    new TextDecoder("utf-8", strict).decode(bytes);
    return false;
  } catch { return true; }
}

/** The bytes of a text, those that it spells out put in place. */
function spelled(text) {
  const encoder = new TextEncoder();
  const bytes = [];
  let at = 0;
  for (const found of text.matchAll(BYTES)) {
    bytes.push(...encoder.encode(text.slice(at, found.index)), parseInt(found[1], 16));
    at = found.index + found[0].length;
  }
  bytes.push(...encoder.encode(text.slice(at)));
  return new Uint8Array(bytes);
}
