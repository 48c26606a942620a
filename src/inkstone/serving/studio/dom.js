// Elements of a page. Text enters as text, never as markup: whatever a person or a model writes, nothing of it can run.

const LIVE = new Map(); // element → the properties that follow the language

/**
 * An element: el("button.quiet", { text: () => t("send"), onclick: send }, child, "words", ...).
 * `text`, `title`, `placeholder`, `label` (aria-label) and `description` may be functions: they are asked again when the
 * language changes. Names that begin with "on" are listeners; `dataset`, `style` take objects; children that are null or
 * false are left out.
 */
export function el(kind, properties = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const made = document.createElement(name || "div");
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) set(made, key, value);
  fill(made, children);
  return made;
}

/** An SVG element; attributes as they are. */
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  fill(made, children);
  return made;
}

/** Replace what is in an element. */
export function put(element, ...children) {
  element.replaceChildren();
  fill(element, children);
  return element;
}

/** Say everything that follows the language anew. */
export function sayAgain() {
  for (const [reference, live] of LIVE) {
    const element = reference.deref();
    if (!element) LIVE.delete(reference);
    else for (const [key, value] of live) assign(element, key, value());
  }
}

function fill(element, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

const SAID = new Set(["text", "title", "placeholder", "label", "description"]);
const references = new WeakMap();

/** Set one property, as `el` does. */
export function set(element, key, value) {
  if (value === null || value === undefined) return;
  if (SAID.has(key)) {
    if (typeof value === "function") {
      let reference = references.get(element);
      if (!reference) references.set(element, (reference = new WeakRef(element)));
      if (!LIVE.has(reference)) LIVE.set(reference, new Map());
      LIVE.get(reference).set(key, value);
      assign(element, key, value());
    } else {
      LIVE.get(references.get(element))?.delete(key);
      assign(element, key, value);
    }
  } else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "dataset") Object.assign(element.dataset, value);
  else if (key === "style") for (const [name, to] of Object.entries(value)) element.style.setProperty(name, to);
  else if (key in element && !key.startsWith("aria") && key !== "list" && key !== "form") element[key] = value;
  else element.setAttribute(key, value);
}

function assign(element, key, value) {
  if (key === "text") element.textContent = value;
  else if (key === "label") element.setAttribute("aria-label", value);
  else if (key === "description") element.setAttribute("aria-description", value);
  else element[key] = value;
}

const ICONS = {
  send: "M4 12 20 4l-5 16-3.5-6.5Z M11.500 13.500 20 4",
  stop: "M7 7h10v10H7Z",
  plus: "M12 5v14M5 12h14",
  up: "M7 11v9H4v-9Zm0 0 4-7c1.600 0 2.500 1.200 2.200 2.700L12.600 10H18c1.300 0 2.200 1.200 1.900 2.400l-1.500 6c-.2.900-1 1.600-2 1.600H7",
  down: "M7 13V4H4v9Zm0 0 4 7c1.600 0 2.500-1.200 2.200-2.700L12.600 14H18c1.300 0 2.200-1.200 1.900-2.400l-1.500-6C18.200 4.700 17.400 4 16.400 4H7",
  copy: "M9 9h11v11H9ZM15 9V4H4v11h5",
  again: "M19 6v5h-5 M19 11a7.500 7.500 0 1 0 0 5",
  edit: "M4 20l1-4L16 5l3 3L8 19Z M14 7l3 3",
  close: "M6 6l12 12M18 6 6 18",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10Z",
  key: "M8 8.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7ZM11.500 12H21M17 12v3M20 12v2.500",
  settings: "M4 7h10M18 7h2M14 4.500v5M4 17h2M10 17h10M10 14.500v5",
  list: "M4 6h16M4 12h16M4 18h16",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5",
  microphone: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM6 11a6 6 0 0 0 12 0M12 17v4",
  swap: "M7 4 3 8l4 4M3 8h15M17 12l4 4-4 4M21 16H6",
  file: "M6 3h8l5 5v13H6ZM14 3v5h5",
};

/** One of the few drawings that buttons wear. */
export function icon(name) {
  const drawn = svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" });
  drawn.append(svg("path", { d: ICONS[name] }));
  return drawn;
}
