// Requests to the server that served this page, and its errors in words.

import { speaker } from "./words.js";

const t = speaker();
const KEY = "inkstone-key";

/** What a server refused, in its own words where it has any. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** The key that was entered in this tab; "" for none. */
export function key() {
  try { return sessionStorage.getItem(KEY) ?? ""; } catch { return ""; }
}

/** Keep a key until the tab closes; "" forgets it. */
export function keepKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/**
 * A request and its answer as JSON: api("/v1/models"), api(path, { json: body }), api(path, { method, body, signal, raw }).
 * `raw: true` gives the Response itself. Throws ApiError in words; an aborted request throws AbortError.
 */
export async function api(path, { json, raw = false, headers = {}, ...options } = {}) {
  if (json !== undefined) {
    options.method ??= "POST";
    options.body = JSON.stringify(json);
    headers = { "Content-Type": "application/json", ...headers };
  }
  if (key()) headers = { Authorization: `Bearer ${key()}`, ...headers };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("no answer"));
  }
  if (!response.ok) throw await refusal(response);
  if (raw) return response;
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/**
 * The events of a streamed answer, each parsed, until [DONE]: for await (const event of events(path, { json, signal })).
 * Throws ApiError where the server says an error on the way, or where the stream ends without its end.
 */
export async function* events(path, options) {
  const response = await api(path, { ...options, raw: true });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = "";
  try {
    while (true) {
      let part;
      try {
        part = await reader.read();
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ApiError(t("broken stream"));
      }
      if (part.done) throw new ApiError(t("broken stream"));
      kept += part.value.replace(/\r/g, "");
      const blocks = kept.split("\n\n");
      kept = blocks.pop();
      for (const block of blocks) {
        const lines = block.split("\n").filter((line) => line.startsWith("data:"));
        if (!lines.length) continue;
        const data = lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        if (event.error) throw new ApiError(event.error.message ?? String(event.error), event.error.code);
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops listening stops the server's writing
  }
}

async function refusal(response) {
  let said = null;
  try { said = await response.json(); } catch { /* not ours, or cut short */ }
  const detail = said?.error?.message ?? said?.message ?? said?.detail;
  const words = Array.isArray(detail) ? detail.map((each) => `${(each.loc ?? []).slice(1).join(".")}: ${each.msg}`).join("; ") : detail;
  const wait = response.headers.get("Retry-After");
  const message = typeof words === "string" && words ? words : t("broken answer", { status: response.status });
  return Object.assign(new ApiError(message, response.status), { wait: wait ? Number(wait) : null });
}
