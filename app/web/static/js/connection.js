// How well following goes, of all views together: in the header's pill, the notice and the main part.

import { byId, element } from "./dom.js";
import { ago } from "./times.js";

const STALE_MS = 7_000; // three answers missed, while they are asked for every two seconds
const SEVERITY = ["loading", "live", "unready", "waiting", "error", "offline", "missing"];
const FAILING = ["waiting", "error", "offline"];
const LABELS = {
  loading: "Connecting", live: "Live", unready: "Not ready", waiting: "Restoring", error: "Error", offline: "Offline",
  missing: "Not found",
};
const sources = new Set();
let unknown = null;

/** What a page says in the place of its numbers when what it is about is not there. */
export function whenMissing(title, text, href, label) {
  unknown = { title, text, href, label };
}

/** One followed view: `answered(reasons)` and `failed(state, message)` tell how it went; `remove()` ends it. */
export function source() {
  const made = {
    state: "loading", message: "", at: null,
    answered(reasons = []) {
      Object.assign(made, { state: reasons.length ? "unready" : "live", message: reasons.join("\n"), at: Date.now() });
      show();
    },
    failed(state, message) {
      if (made.at !== null && !FAILING.includes(made.state)) made.at = Date.now(); // so long the numbers were good
      Object.assign(made, { state, message });
      show();
    },
    remove() { sources.delete(made); },
  };
  sources.add(made);
  return made;
}

function show() {
  const [worst] = [...sources].sort((a, b) => SEVERITY.indexOf(b.state) - SEVERITY.indexOf(a.state));
  if (!worst) return;
  const state = FAILING.includes(worst.state) && worst.at !== null && Date.now() - worst.at > STALE_MS ? "stale" : worst.state;
  byId("main").dataset.state = state;
  const pill = byId("connection");
  pill.dataset.state = state;
  say(pill.querySelector(".text"), state === "stale" ? `Stale · ${ago(worst.at)}` : LABELS[state]);
  pill.title = worst.message;
  const notice = byId("notice");
  notice.hidden = ![...FAILING, "stale"].includes(state);
  notice.dataset.state = state;
  say(notice, state === "stale" ? `These numbers are ${ago(worst.at)} old. ${worst.message}` : worst.message);
  showMissing(state === "missing", worst.message);
}

function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function showMissing(isMissing, message) {
  const shown = byId("missing");
  if (!isMissing) return shown?.remove();
  if (shown) return undefined;
  const { title, text, href, label } = unknown ?? { title: "Not found", text: message, href: "/", label: "Overview" };
  return byId("main").append(element("section.card.state", { id: "missing" },
    element("h2", {}, title), element("p", {}, text), element("a.button", { href }, label)));
}

setInterval(show, 1_000);
