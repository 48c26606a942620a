// Attention maps: who looks at whom, in every layer and head, computed by the model itself on a text of one's own.

import { nothingServed, picker, facts } from "./models.js";
import { readable } from "./tokens.js";

export const words = {
  en: {
    title: "Where the model looks", text: "Text", "text what": "A sentence or two …", second: "Second text", show: "Show", map: "Map", decoder: "Within what it writes", encoder: "Within what it reads", cross: "From what it writes to what it reads",
    layer: "Layer", head: "Head", mean: "all heads, mean", overview: "All layers and heads", "overview note": "A row a layer, a column a head. The redder, the more attention; choose one to see it large.",
    "map note": "Each row is a token that looks, each column one that is looked at; a row sums to 100 %. Point at a field, or walk with the arrow keys.", "looks at": "“{from}” takes {p} from “{to}”",
    "one map": "Layer {layer}, head {head}", "line note": "What the token you point at takes of each other one.", "next note": "A row is where the model looked once it had read that token: to write the one after it.", caution: "Attention says where values were taken from, not why.", tokens: "Tokens of the text; choose one to see where it looks",
    "grid name": "Attention of layer {layer}, head {head}: {n} tokens by {m}",
  },
  zh: {
    title: "模型在看哪里", text: "文本", "text what": "一两句话……", second: "第二段文本", show: "显示", map: "图", decoder: "所写之内", encoder: "所读之内", cross: "从所写看向所读",
    layer: "层", head: "头", mean: "所有头的平均", overview: "所有层与头", "overview note": "每行一层，每列一头。越红，注意越多；点选一个放大来看。",
    "map note": "每行是在看的词元，每列是被看的词元；每行之和为 100 %。指向一格，或用方向键移动。", "looks at": "“{from}”从“{to}”取 {p}",
    "one map": "第 {layer} 层，第 {head} 头", "line note": "你所指的词元从其他词元各取多少。", "next note": "每行是模型读完该词元之后所看之处：为的是写出下一个词元。", caution: "注意力只说明取自哪里，并不说明为什么。", tokens: "文本的词元；选一个看它看向哪里",
    "grid name": "第 {layer} 层第 {head} 头的注意力：{n} × {m} 个词元",
  },
};
export const styles = ["attention.css"];
const FULL = 65535;

/** The page. */
export async function show(root, context) {
  const { t, el, put, models, api, fail, signal, params, set } = context;
  const able = (await models()).filter((each) => each.attention);
  if (!able.length) return nothingServed(root, context, "inkstone serve RUN");
  let maps = null;
  let chosen = { kind: null, layer: 0, head: 0 };
  const about = el("p.soft");
  const second = el("textarea", { rows: 2, placeholder: () => t("text what") });
  const secondBox = el("label", { hidden: true }, el("span", { text: () => t("second") }), second);
  const choice = picker(able, {
    t, remember: "attention", wanted: params.get("model"),
    chosen: (model) => {
      about.textContent = facts(model, t);
      secondBox.hidden = !(model.pairs || model.task === "answer");
    },
  });
  const field = el("textarea", {
    rows: 2, placeholder: () => t("text what"), value: remembered(),
    onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(); },
  });
  const go = el("button", { type: "button", text: () => t("show"), onclick: ask });
  const stage = el("div.maps");
  put(root, el("h1", { text: () => t("title") }),
    el("div.asking", {}, el("div", {}, el("label", {}, el("span", { text: () => t("text") }), field), secondBox), el("div", {}, choice, about)),
    el("div.row", {}, go), stage);

  async function ask() {
    const text = field.value.trim();
    if (!text) return field.focus();
    try { sessionStorage.setItem("inkstone-attention", field.value); } catch { /* not kept */ }
    go.disabled = true;
    try {
      const body = { model: choice.value.id, text, ...(secondBox.hidden || !second.value.trim() ? {} : { second: second.value.trim() }) };
      maps = (await api("/studio/api/attention", { json: body, signal })).maps;
      for (const map of Object.values(maps)) map.shares = shares(map.weights);
      const kinds = Object.keys(maps);
      const kind = maps[chosen.kind] ? chosen.kind : kinds.includes("cross") ? "cross" : kinds[0];
      chosen = { kind, layer: Math.min(chosen.layer, maps[kind].layers - 1), head: Math.min(chosen.head, maps[kind].heads - 1) };
      draw();
    } catch (error) { fail(error); } finally { go.disabled = false; }
  }

  function draw() {
    const kinds = Object.keys(maps);
    const map = maps[chosen.kind];
    const large = el("section.large");
    const overview = el("div.overview", { style: { "--heads": String(map.heads) } });
    for (let layer = 0; layer < map.layers; layer += 1) {
      for (let head = 0; head < map.heads; head += 1) {
        overview.append(el("button.thumb", {
          type: "button", title: () => t("one map", { layer: layer + 1, head: head + 1 }), label: () => t("one map", { layer: layer + 1, head: head + 1 }),
          "aria-pressed": String(layer === chosen.layer && head === chosen.head),
          onclick: (event) => {
            chosen = { ...chosen, layer, head };
            for (const each of overview.children) each.setAttribute("aria-pressed", String(each === event.currentTarget));
            enlarge(map, large);
          },
        }, painted(map, layer, head)));
      }
    }
    put(stage,
      kinds.length > 1 && el("div.kinds.row", { role: "group", label: () => t("map") }, kinds.map((kind) => el("button.quiet", {
        type: "button", text: () => t(kind), "aria-pressed": String(kind === chosen.kind), onclick: () => { chosen = { kind, layer: 0, head: 0 }; draw(); },
      }))),
      el("div.both", {}, large, el("section.small", {}, el("h2", { text: () => t("overview") }), overview, el("p.soft", { text: () => t("overview note") }))),
      el("p.soft", { text: () => t("caution") }));
    enlarge(map, large);
  }

  /** One map with its tokens. */
  function enlarge(map, large) {
    const { layer, head } = chosen;
    const at = (row, column) => map.shares[((layer * map.heads + head) * map.rows.length + row) * map.columns.length + column] / FULL;
    const told = el("p.told", { role: "status" });
    const canvas = painted(map, layer, head);
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.className = "grid";
    set(canvas, "label", () => t("grid name", { layer: layer + 1, head: head + 1, n: map.rows.length, m: map.columns.length }));
    const cursor = el("i.cursor", { hidden: true });
    const rows = tokens(map.rows, true);
    const columns = chosen.kind === "cross" ? tokens(map.columns) : rows; // a text that looks at itself stands there once
    const place = { row: 0, column: 0 };
    const move = (row, column) => {
      place.row = Math.max(0, Math.min(map.rows.length - 1, row));
      place.column = Math.max(0, Math.min(map.columns.length - 1, column));
      cursor.hidden = false;
      for (const [name, value] of [["--row", place.row], ["--column", place.column]]) cursor.style.setProperty(name, String(value));
      told.textContent = t("looks at", { from: readable(map.rows[place.row]), to: readable(map.columns[place.column]), p: context.percent(at(place.row, place.column)) });
      light(place.row);
    };
    const light = (row) => {
      rows.forEach((each, number) => each.setAttribute("aria-pressed", String(number === row)));
      columns.forEach((each, column) => each.style.setProperty("--heat", `${Math.round(72 * Math.sqrt(at(row, column)))}%`));
    };
    const under = (event) => {
      const box = canvas.getBoundingClientRect();
      move(Math.floor(((event.clientY - box.top) / box.height) * map.rows.length), Math.floor(((event.clientX - box.left) / box.width) * map.columns.length));
    };
    canvas.addEventListener("pointermove", under);
    canvas.addEventListener("pointerdown", under);
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      move(place.row + step[0], place.column + step[1]);
    });
    rows.forEach((each, row) => { each.addEventListener("click", () => light(row)); each.addEventListener("pointerenter", () => light(row)); });
    const square = el("div.square", { style: { "--rows": String(map.rows.length), "--columns": String(map.columns.length) } }, canvas, cursor);
    put(large,
      el("h2", { text: () => t("one map", { layer: layer + 1, head: head + 1 }) }),
      el("div.lines", {}, el("p.looking", { role: "group", label: () => t("tokens") }, rows), columns !== rows && [el("hr"), el("p.seen", {}, columns)]),
      el("p.soft", { text: () => t("line note") }), told, square, el("p.soft", { text: () => t("map note") }), chosen.kind !== "encoder" && el("p.soft", { text: () => t("next note") }));
    light(map.rows.length - 1);
  }

  /** Tokens in a line; those that look can be chosen. */
  function tokens(names, looking = false) {
    return names.map((name) => (looking
      ? el("button.tok", { type: "button", "aria-pressed": "false", text: readable(name) })
      : el("span.tok", { text: readable(name) })));
  }

  if (field.value && params.get("show")) await ask();
}

/** Weights of 16 bits from base64. */
function shares(encoded) {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, at) => view.getUint16(2 * at, true));
}

/** A map as a picture, a pixel a pair of tokens; the browser enlarges it, and its colour is that of the ink (attention.css). */
function painted(map, layer, head) {
  const canvas = document.createElement("canvas");
  const [height, width] = [map.rows.length, map.columns.length];
  Object.assign(canvas, { width, height });
  const picture = new ImageData(width, height);
  const from = (layer * map.heads + head) * height * width;
  for (let at = 0; at < height * width; at += 1) {
    picture.data.set([179, 48, 31, Math.round(255 * Math.sqrt(map.shares[from + at] / FULL))], 4 * at);
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}

function remembered() {
  try { return sessionStorage.getItem("inkstone-attention") ?? ""; } catch { return ""; }
}
