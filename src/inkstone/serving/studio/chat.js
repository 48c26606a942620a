// Conversations.
export const words = { en: {}, zh: {} };

/** The page of conversations. */
export async function show(root, { el, models }) {
  const served = await models();
  root.append(el("ul", {}, served.map((each) => el("li", { text: `${each.id} (${each.kind})` }))));
}
