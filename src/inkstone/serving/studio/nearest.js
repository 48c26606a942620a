// Texts by their nearness in meaning to another: vectors come from the model, the rest is a product of each two.

export const words = {
  en: { query: "Look for", "query what": "A question or a text …", texts: "Among these", "texts what": "One text a line …", find: "Find the nearest", similarity: "likeness" },
  zh: { query: "寻找", "query what": "一个问题或一段文本……", texts: "在这些之中", "texts what": "每行一段文本……", find: "找最近的", similarity: "相似度" },
};

/** The form and what was found. */
export function nearest(model, form, { t, el, put, api, fail, number, signal }) {
  const result = el("section.result", { "aria-live": "polite" });
  const query = el("textarea", { rows: 2, placeholder: () => t("query what") });
  const texts = el("textarea", { rows: 8, placeholder: () => t("texts what") });
  const go = el("button", { type: "button", text: () => t("find"), onclick: find });
  put(form, el("div.inputs", {},
    el("label", {}, el("span", { text: () => t("query") }), query),
    el("label", {}, el("span", { text: () => t("texts") }), texts), el("div.row", {}, go)), result);
  let left = false;

  async function find() {
    const lines = texts.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (!query.value.trim() || !lines.length) return (query.value.trim() ? texts : query).focus();
    go.disabled = true;
    try {
      const found = await api("/v1/embeddings", { json: { model: model.id, input: [query.value.trim(), ...lines] }, signal });
      if (left) return;
      const [asked, ...others] = found.data.map((each) => each.embedding);
      const ranked = lines.map((text, place) => ({ text, likeness: cosine(asked, others[place]) })).sort((a, b) => b.likeness - a.likeness);
      put(result, el("div.bars.nearest", { role: "list", label: () => t("similarity") }, ranked.map(({ text, likeness }, place) => {
        const bar = el("span.track", {}, el("i"));
        bar.firstChild.style.width = `${Math.max(0, 100 * likeness).toFixed(1)}%`;
        return el(`div.bar${place ? "" : ".ours"}`, { role: "listitem" }, el("span", { text }), bar, el("span.value", { text: () => number(likeness, 2) }));
      })));
    } catch (error) { fail(error); } finally { go.disabled = false; }
  }
  return () => { left = true; };
}

function cosine(a, b) {
  let product = 0, first = 0, second = 0;
  for (let at = 0; at < a.length; at += 1) {
    product += a[at] * b[at];
    first += a[at] ** 2;
    second += b[at] ** 2;
  }
  return product / Math.sqrt(first * second || 1);
}
