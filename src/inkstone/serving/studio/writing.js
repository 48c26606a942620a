// What a model writes, as it writes it: text, tokens with their probabilities, and why it ended.

import { api, events } from "./api.js";

export const ALTERNATIVES = 5;

/**
 * Go on with a conversation or a text. `asked` is { model, messages } or { model, prompt }; `settings` those of sampling.
 * Yields { text, tokens, reason } as they come: tokens are { text, logProbability, alternatives: [{ text, logProbability }] }.
 * Aborting `signal` ends it, and the server stops writing.
 */
export async function* written(asked, settings, signal) {
  const talks = "messages" in asked;
  const path = talks ? "/v1/chat/completions" : "/v1/completions";
  const probabilities = talks ? { logprobs: true, top_logprobs: ALTERNATIVES } : { logprobs: ALTERNATIVES };
  for await (const event of events(path, { json: { ...asked, ...settings, ...probabilities, stream: true }, signal })) {
    const choice = event.choices?.[0];
    if (!choice) continue;
    yield {
      text: (talks ? choice.delta?.content : choice.text) ?? "",
      tokens: talks ? fromChat(choice.logprobs) : fromCompletion(choice.logprobs),
      reason: choice.finish_reason ?? null,
    };
  }
}

function fromChat(found) {
  return (found?.content ?? []).map((each) => ({
    text: each.token,
    logProbability: each.logprob,
    alternatives: (each.top_logprobs ?? []).map((other) => ({ text: other.token, logProbability: other.logprob })),
  }));
}

function fromCompletion(found) {
  return (found?.tokens ?? []).map((text, place) => ({
    text,
    logProbability: found.token_logprobs[place],
    alternatives: Object.entries(found.top_logprobs?.[place] ?? {})
      .map(([other, logProbability]) => ({ text: other, logProbability }))
      .sort((a, b) => b.logProbability - a.logProbability),
  }));
}

/** Every token of a text as a model held it before it read it, with entropies in bits. */
export async function weighed(model, text, signal) {
  const found = await api("/studio/api/probabilities", { json: { model, text }, signal });
  return found.tokens.map((each) => ({
    text: each.token,
    logProbability: each.log_probability,
    entropy: each.entropy,
    alternatives: each.alternatives.map((other) => ({ text: other.token, logProbability: other.log_probability })),
  }));
}
