// Server-sent events: told by the worker when a domain has changed. One stream for all that a page shows.
//
// The browser connects again by itself, and says which event it has got last. Browsers allow few connections to one
// worker, over all tabs: a page that nobody sees gives its stream up.

const STREAM = "/api/v1/live";
const AGAIN_MS = 30_000; // until a stream that was refused is asked for again
const listeners = new Map(); // domain -> functions
const watchers = new Set();
let stream = null;
let timer = 0;
let flows = false;

/** Whether changes are told. While they are not, whoever wants to know has to ask. */
export const flowing = () => flows;

/** Call `onChange()` whenever a domain has changed, `onFlow()` when telling begins or ends. Returns a function that stops it. */
export function listen(domains, onChange, onFlow = () => {}) {
  for (const domain of domains) {
    if (!listeners.has(domain)) {
      listeners.set(domain, new Set());
      stream?.addEventListener(domain, tell);
    }
    listeners.get(domain).add(onChange);
  }
  watchers.add(onFlow);
  return () => {
    for (const domain of domains) listeners.get(domain).delete(onChange);
    watchers.delete(onFlow);
  };
}

function tell({ type }) {
  for (const onChange of listeners.get(type) ?? []) onChange();
}

function flow(now) {
  if (flows === now) return;
  flows = now;
  for (const onFlow of watchers) onFlow();
}

function open() {
  clearTimeout(timer);
  if (stream || document.hidden) return;
  stream = new EventSource(STREAM);
  for (const domain of listeners.keys()) stream.addEventListener(domain, tell);
  stream.addEventListener("open", () => flow(true));
  stream.addEventListener("error", () => {
    flow(false);
    if (stream?.readyState !== EventSource.CLOSED) return; // else it connects again by itself
    close();
    timer = setTimeout(open, AGAIN_MS);
  });
}

function close() {
  stream?.close();
  stream = null;
  flow(false);
}

document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close); // a page that is gone back to gets a new one
addEventListener("pageshow", open);
open();
