// Follows views: asks again whenever their domain has changed and, while nobody tells of changes, every two seconds.

import { source } from "./connection.js";
import { flowing, listen } from "./live.js";
import "./navigation.js";

export const STATUS = "/api/v1/status";
const EVERY_MS = 2_000; // also the least between two questions, however often a domain changes
const HEALTH_MS = 15_000; // whether the installation is ready does not depend on any domain's change
const LONGEST_MS = 15_000; // between attempts at a worker that does not answer
const PATIENCE_MS = 30_000; // a list over all rows may take 20 s

/**
 * Follow a view of some domains; `onAnswer(answer)` is called when the answer has changed. `agesMs`: it changes with
 * time alone, so it is asked again after so long. Returns a function that stops it.
 */
export function follow(domains, url, onAnswer, { agesMs = 0 } = {}) {
  let tag = null;
  let failures = 0;
  let timer = 0;
  let asking = false;
  let changed = false; // while it was being asked
  let earliest = 0;
  let stopped = false;
  let reasons = []; // why the installation is not ready
  const shown = source();

  async function ask() {
    clearTimeout(timer);
    if (asking || stopped) return;
    asking = true;
    changed = false;
    const began = performance.now();
    const answer = await request(url, tag);
    asking = false;
    if (stopped) return;
    const pause = answer ? take(answer) : failed();
    earliest = performance.now() + Math.max(EVERY_MS, 2 * (performance.now() - began));
    if (changed && !failures) soon();
    else if (pause) wait(pause);
  }

  function failed() {
    failures += 1;
    shown.failed("offline", "The worker does not answer. Trying again.");
    return Math.min(LONGEST_MS, EVERY_MS * 2 ** Math.min(failures, 4));
  }

  /** Show an answer; the pause until the next question, 0 if that is for somebody else to say. */
  function take({ status, body, tag: given, retrySeconds }) {
    if (status === 401) {
      location.assign("/login");
      return LONGEST_MS;
    }
    if (status === 200 || status === 304) {
      failures = 0;
      if (body) {
        tag = given;
        if (url === STATUS) reasons = body.ready ? [] : body.reasons;
        try {
          onAnswer(body);
        } catch (error) {
          reportError(error);
          shown.failed("error", "This page cannot show what the worker has answered. That is a defect of tidemark.");
          return LONGEST_MS;
        }
      }
      shown.answered(reasons);
      return flowing() ? agesMs : EVERY_MS;
    }
    failures += 1;
    const message = sentence(body.error.message);
    shown.failed({ 404: "missing", 503: "waiting" }[status] ?? "error", message);
    return status === 503 ? 1000 * retrySeconds : EVERY_MS * 2;
  }

  function wait(pause) {
    clearTimeout(timer);
    if (!stopped && !document.hidden) timer = setTimeout(ask, pause);
  }

  function soon() {
    changed = true;
    if (!asking) wait(Math.max(0, earliest - performance.now()));
  }

  const onVisible = () => { if (!document.hidden) ask(); };
  document.addEventListener("visibilitychange", onVisible);
  const quiet = listen(domains, soon, soon);
  ask();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisible);
    quiet();
    shown.remove();
  };
}

/** Follow one view at a time: returns a function that turns to another address. */
export function follower(domains, onAnswer, more = {}) {
  let stop = () => {};
  return (url) => {
    stop();
    stop = follow(domains, url, onAnswer, more);
  };
}

/** An answer with its body; null where there is none, or one that nobody understands. */
async function request(url, tag) {
  try {
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    const { status } = answer;
    const retrySeconds = Number(answer.headers.get("Retry-After") ?? 2);
    return { status, retrySeconds, tag: answer.headers.get("ETag"), body: status === 304 ? null : await answer.json() };
  } catch {
    return null;
  }
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

// Every page says whether the installation is ready; the overview follows its status anyway.
if (location.pathname !== "/") follow([], STATUS, () => {}, { agesMs: HEALTH_MS });
