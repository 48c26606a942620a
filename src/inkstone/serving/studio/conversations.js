// Conversations as the browser keeps them: in its own storage, on this machine, until they are deleted.

const PLACE = "inkstone-conversations";
const MOST = 60; // the oldest ones go

/** All conversations, the newest first: { id, title, system, settings, messages: [{ role, versions: [text], at }] }. */
export function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
    return Array.isArray(found) ? found.filter((each) => each && Array.isArray(each.messages)) : [];
  } catch { return []; }
}

/** A new one, not kept before something was said. */
export function begun(settings = {}, system = "") {
  const id = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 7)}`;
  return { id, title: "", system, settings, messages: [] };
}

/** Keep a conversation as the newest. */
export function keep(conversation) {
  const others = kept().filter((each) => each.id !== conversation.id);
  const all = [conversation, ...others].slice(0, MOST);
  while (all.length) {
    try {
      localStorage.setItem(PLACE, JSON.stringify(all));
      return;
    } catch { all.pop(); } // the storage is full
  }
}

/** Delete one, or all. */
export function forget(id = null) {
  try {
    if (id === null) localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, JSON.stringify(kept().filter((each) => each.id !== id)));
  } catch { /* a browser that keeps nothing */ }
}

/** What was said last under a message. */
export function said(message) {
  return message.versions[message.at];
}

/** The messages as the API takes them, up to one that is left out. */
export function asMessages(conversation, end = conversation.messages.length) {
  const messages = conversation.messages.slice(0, end).map((each) => ({ role: each.role, content: said(each) }));
  return conversation.system.trim() ? [{ role: "system", content: conversation.system }, ...messages] : messages;
}
