// What pages are made of.

import { byId, element, fill, portion } from "./dom.js";
import { count } from "./numbers.js";
import { ago, utc } from "./times.js";

/** A key figure; `title` says it exactly where the figure is rounded. */
export const tile = (label, value, title = null) =>
  element("article.tile", { title }, element("h2", {}, label), element("p.figure", {}, value));

export const nothing = (text) => element("p.empty", {}, text);

/** Labelled bars: [[label, share of 1, text, class of the bar], ...]. */
export function bars(lines, none) {
  if (!lines.length) return nothing(none);
  return element("ul.bars", {}, ...lines.map(([label, share, text, className]) => element("li", {},
    element("span.label", { title: label }, label),
    element("span.track", { "aria-hidden": "true" }, portion(share, className)),
    element("b", {}, text))));
}

/** One of a few values, as radio buttons that look like segments. */
export function segments(place, legend, values, chosen, onChange) {
  const set = element("fieldset.segments", {}, element("legend", {}, legend));
  for (const [value, label] of values) {
    const input = element("input", { type: "radio", name: place.id, value });
    input.checked = value === chosen;
    input.addEventListener("change", () => onChange(value));
    set.append(element("label", {}, input, element("span", {}, label)));
  }
  fill(place, set);
}

/** A ranking: lines of {rank, name, href, share of the best, text}. */
export function board(place, lines, none) {
  const items = lines.map(({ rank, name, href, share, text }) => element("li", {},
    element("span.rank", {}, rank),
    element("a", { href, title: name }, name),
    element("span.track", { "aria-hidden": "true" }, portion(share)),
    element("b", {}, text)));
  fill(place, ...(items.length ? items : [element("li", {}, nothing(none))]));
}

/** Show a chart, or in its place that there is nothing to draw. */
export function orEmpty(name, isEmpty, text) {
  byId(`${name}-empty`).hidden = !isEmpty;
  byId(`${name}-empty`).textContent = text;
  byId(name).style.visibility = isEmpty ? "hidden" : "visible";
}

/** Says how fresh the answer that it was given last is, and goes on saying it. */
export function freshness(place) {
  let latest = null;
  const say = () => {
    if (!latest) return;
    if (!latest.as_of) {
      place.textContent = "No event yet.";
      return;
    }
    const where = latest.partition === null ? "" : ` · partition ${latest.partition}, offset ${count(latest.offset)}`;
    place.textContent = `Last event ${ago(latest.as_of)} ago${where}`;
    place.title = utc(latest.as_of);
  };
  setInterval(say, 1_000);
  return (answer) => { latest = answer; say(); };
}

/** Which partitions did not answer. */
export const silent = ({ missing_partitions: missing }) =>
  (missing?.length ? ` Without partition ${missing.join(", ")}, which did not answer.` : "");
