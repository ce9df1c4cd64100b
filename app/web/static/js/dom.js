// Elements. Text is always set as text: what an entity is called never becomes markup.

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

const name = (held) => held.getAttribute("href") ?? held.textContent;

/** Give an element new children, but for null ones. A link or button that had the keyboard's focus has it again, if it is still there. */
export function fill(place, ...children) {
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  const known = held && name(held);
  place.replaceChildren(...children.filter((child) => child !== null));
  if (!known) return;
  const again = [...place.querySelectorAll("a, button")].find((each) => name(each) === known);
  again?.focus({ preventScroll: true });
}

/** The entity that a page is about: the last part of its path. */
export function entity() {
  const last = location.pathname.split("/").at(-1);
  try {
    return decodeURIComponent(last);
  } catch {
    return last; // no UTF-8: nobody is called so
  }
}
