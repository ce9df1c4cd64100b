// Tables: columns that may sort, and pages.

import { element, fill } from "./dom.js";
import { count } from "./numbers.js";
import { nothing } from "./parts.js";

const READ = 10_000; // lines from the first that the API gives out in pages

/**
 * A table in the `<table>` at `place`. Columns are {head, cell(row) -> text or element, number, sort}; the first one's
 * cells are the rows' heads. With `sorting` ({by, falling}), heads of columns that have a `sort` call `onSort(sort)`.
 * Returns a function that shows rows.
 */
export function table(place, columns, none, sorting = null, onSort = null) {
  const heads = element("tr");
  const body = element("tbody");
  return (rows) => {
    if (!body.parentNode) place.replaceChildren(element("thead", {}, heads), body); // until then it shows that it waits
    fill(heads, ...columns.map((column) => head(column, sorting, onSort)));
    const lines = rows.map((row) => element("tr", {}, ...columns.map((column, place) => cell(column, row, place))));
    fill(body, ...(lines.length ? lines : [element("tr", {}, element("td", { colspan: columns.length }, nothing(none)))]));
  };
}

function cell({ cell: make, number, className }, row, place) {
  const made = place ? element("td", {}) : element("th", { scope: "row" });
  if (number) made.classList.add("number");
  if (className) made.classList.add(className);
  made.append(...[make(row)].flat().filter((each) => each !== null));
  return made;
}

function head({ head: label, number, sort }, sorting, onSort) {
  const made = element(number ? "th.number" : "th", { scope: "col" });
  if (!sorting || !sort) {
    made.append(label);
    return made;
  }
  if (sorting.by === sort) made.setAttribute("aria-sort", sorting.falling ? "descending" : "ascending");
  const button = element("button", { type: "button" }, label);
  button.addEventListener("click", () => onSort(sort));
  made.append(button);
  return made;
}

/** Sort by a column: the other way round if it is sorted by already, else as the column begins. */
export function turn(sorting, by, falling) {
  Object.assign(sorting, { by, falling: sorting.by === by ? !sorting.falling : falling });
}

/** Buttons for the page before and after. Returns a function that is told where a list stands: (page, per_page, total). */
export function pager(place, onPage) {
  let at = 1;
  const button = (label, step) => {
    const made = element("button.plain", { type: "button" }, label);
    made.addEventListener("click", () => onPage(at + step));
    return made;
  };
  const [before, after] = [button("Previous", -1), button("Next", 1)];
  const text = element("span.quiet", { role: "status" });
  place.replaceChildren(before, text, after);
  return (page, size, total) => {
    at = page;
    const pages = Math.max(1, Math.min(Math.ceil(total / size), Math.floor(READ / size)));
    const [first, last] = [(page - 1) * size + 1, Math.min(total, page * size)];
    const said = first > total ? `Nothing on page ${count(page)}` : `${count(first)}–${count(last)} of ${count(total)}`;
    if (text.textContent !== said) text.textContent = said;
    const held = document.activeElement;
    before.disabled = page <= 1;
    after.disabled = page >= pages;
    if (held === after && after.disabled) before.focus(); // one that is disabled cannot keep the keyboard's focus
    if (held === before && before.disabled) after.focus();
    place.hidden = pages === 1 && page === 1;
  };
}
