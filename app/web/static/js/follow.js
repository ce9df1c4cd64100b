// Follows views by asking again and again, and shows in the page's frame how well that goes.

import { ago, byId } from "./dom.js";

export const STATUS = "/api/v1/status";
const EVERY_MS = 2_000;
const LONGEST_MS = 15_000; // between attempts at a worker that does not answer
const STALE_MS = 7_000; // three answers missed

/**
 * Ask for a view every two seconds; `onAnswer(answer)` is called when it has changed, `onSame()` when it has not.
 * Returns a function that stops it.
 */
export function follow(url, onAnswer, onSame = () => {}) {
  let tag = null;
  let failures = 0;
  let timer = 0;
  let stopped = false;
  const source = connection.add(url);

  async function ask() {
    clearTimeout(timer);
    let pause = EVERY_MS;
    try {
      const answer = await fetch(url, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (stopped) return;
      pause = await take(answer);
    } catch {
      if (stopped) return;
      failures += 1;
      pause = Math.min(LONGEST_MS, EVERY_MS * 2 ** Math.min(failures, 4));
      source.failed("error", "The worker does not answer. Trying again.");
    }
    if (!stopped && !document.hidden) timer = setTimeout(ask, pause);
  }

  async function take(answer) {
    if (answer.status === 401) return location.assign("/login"), LONGEST_MS;
    if (answer.ok || answer.status === 304) {
      failures = 0;
      if (answer.status === 304) {
        source.answered();
        onSame();
      } else {
        const body = await answer.json();
        tag = answer.headers.get("ETag");
        if (url === STATUS) source.reasons = body.ready ? [] : body.reasons;
        source.answered();
        onAnswer(body);
      }
      return EVERY_MS;
    }
    const { error } = await answer.json();
    if (answer.status === 404) source.failed("missing", error.message);
    else if (answer.status === 503) source.failed("waiting", sentence(error.message));
    else source.failed("error", sentence(error.message));
    return answer.status === 503 ? 1000 * Number(answer.headers.get("Retry-After") ?? 2) : EVERY_MS * 2;
  }

  const onVisible = () => { if (!document.hidden) ask(); };
  document.addEventListener("visibilitychange", onVisible);
  ask();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisible);
    connection.remove(source);
  };
}

/** The state of all followed views together, in the header's pill, the notice and the main part. */
const connection = {
  sources: new Set(),
  add() {
    const source = {
      state: "loading", message: "", at: null, reasons: [],
      answered() {
        const state = source.reasons.length ? "unready" : "live";
        Object.assign(source, { state, message: source.reasons.join("\n"), at: Date.now() });
        connection.show();
      },
      failed(state, message) { Object.assign(source, { state, message }); connection.show(); },
    };
    connection.sources.add(source);
    return source;
  },
  remove(source) { connection.sources.delete(source); },
  show() {
    const [worst] = [...connection.sources].sort((a, b) => rank(b) - rank(a));
    if (!worst) return;
    const old = worst.at !== null && Date.now() - worst.at > STALE_MS;
    const state = worst.state !== "missing" && worst.state !== "loading" && old ? "stale" : worst.state;
    byId("main").dataset.state = state;
    const pill = byId("connection");
    pill.dataset.state = state;
    pill.querySelector(".text").textContent = label(state, worst);
    pill.title = worst.message;
    const notice = byId("notice");
    notice.hidden = !["error", "waiting", "stale"].includes(state);
    notice.dataset.state = state;
    const text = state === "stale" ? `These numbers are ${ago(worst.at)} old. ${worst.message}` : worst.message;
    if (notice.textContent !== text) notice.textContent = text;
    document.dispatchEvent(new CustomEvent("connection", { detail: { state, message: worst.message } }));
  },
};

const SEVERITY = ["loading", "live", "unready", "waiting", "error", "missing"];
const rank = (source) => SEVERITY.indexOf(source.state);

function label(state, source) {
  if (state === "stale") return `Stale · ${ago(source.at)}`;
  return { loading: "Connecting", live: "Live", unready: "Not ready", waiting: "Restoring", error: "Offline", missing: "Not found" }[state];
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

setInterval(() => connection.show(), 1_000);
// Every page says whether the installation is ready; the overview follows its status anyway.
if (location.pathname !== "/") follow(STATUS, () => {});
for (const link of document.querySelectorAll(".bar nav a")) {
  const { pathname } = link;
  const here = pathname === "/" ? location.pathname === "/" : location.pathname.startsWith(pathname);
  if (here) link.setAttribute("aria-current", "page");
}
