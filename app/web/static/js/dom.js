// Elements and numbers. Text is always set as text: what a player is called never becomes markup.

export const byId = (id) => document.getElementById(id);

/** element("a.name", {href: "/"}, "text", child): an element with attributes and children; null children are left out. */
export function element(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  made.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A part of a bar, `share` of 1 wide. Set by script: the content policy allows no style in markup. */
export function portion(share, className = "", title = null) {
  const made = element("i", { title });
  if (className) made.classList.add(className);
  made.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return made;
}

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
/** counted(1, "kill") is "1 kill", counted(2, "kill") "2 kills". */
export const counted = (value, one) => `${count(value)} ${value === 1 ? one : `${one}s`}`;
export const brief = (value) => (value < 100_000 ? whole.format(Math.round(value)) : compact.format(value));
export const decimal = (value, digits = 1) =>
  value === null || value === undefined
    ? "–"
    : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const percent = (value) => `${decimal(value, value >= 10 ? 1 : 2)} %`;

const SPANS = [[31_557_600, "y"], [86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

/** How long ago: "12 s", "3 min", "8 y". */
export function ago(instant) {
  const seconds = Math.max(0, (Date.now() - new Date(instant).getTime()) / 1000);
  const [span, unit] = SPANS.find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.floor(seconds / span)} ${unit}`;
}

/** A key figure; `title` says it exactly where the figure is rounded. */
export const tile = (label, value, title = null) =>
  element("article.tile", { title }, element("h2", {}, label), element("p.figure", {}, value));

/** One of a few values, as radio buttons that look like segments. */
export function segments(place, legend, values, chosen, onChange) {
  const name = place.id;
  const set = element("fieldset.segments", {}, element("legend", {}, legend));
  for (const [value, label] of values) {
    const input = element("input", { type: "radio", name, value });
    input.checked = value === chosen;
    input.addEventListener("change", () => onChange(value));
    set.append(element("label", {}, input, element("span", {}, label)));
  }
  place.replaceChildren(set);
}
