// The tiers of tutors and the metrics that they follow from, as they are shown.

import { element } from "./dom.js";
import { count, decimal, percent } from "./numbers.js";

export const DOMAIN = ["tutors"];
export const WINDOWS = [["7day", "7 days"], ["30day", "30 days"], ["90day", "90 days"]];
export const TIERS = ["Exemplary", "Strong", "Developing", "Needs Attention", "At Risk"]; // the best first

export const tutorPage = (tutor, window) => `/tutor/${encodeURIComponent(tutor)}${window ? `?window=${window}` : ""}`;
export const classOf = (tier) => `tier-${tier.toLowerCase().replace(" ", "-")}`;

/** A tier as a badge; a tutor without sessions has none. */
export const badge = (tier) => (tier ? element(`span.badge.${classOf(tier)}`, {}, tier) : element("span.badge", {}, "No sessions"));

const rating = (value) => decimal(value, 2);
const minutes = (value) => (value === null ? "–" : `${decimal(value, 1)} min`);

/** The metrics that make a tier: [field, what it is called, how it is written]. */
export const FLAGGED = [
  ["avg_rating", "Rating", rating],
  ["first_session_success_rate", "First sessions", percent],
  ["reschedule_rate", "Rescheduled", percent],
  ["no_show_count", "No-shows", count],
  ["engagement_score", "Engagement", (value) => decimal(value, 1)],
  ["learning_objectives_met_pct", "Objectives met", percent],
];

/** All metrics, in the order in which they are shown. */
export const METRICS = [
  ["sessions", "Sessions", count],
  ["sessions_completed", "Completed", count],
  ...FLAGGED,
  ["feedback_count", "Ratings given", count],
  ["logins", "Logins", count],
  ["message_responses", "Answered messages", count],
  ["response_time_avg_minutes", "Response time, mean", minutes],
  ["response_time_p50_minutes", "Response time, median", minutes],
  ["response_time_p95_minutes", "Response time, 95 % below", minutes],
];

export const nameOf = (metric) => METRICS.find(([name]) => name === metric)?.[1] ?? metric;

/** A metric with the flag that it is: the sign says it, not only the colour. */
export function flagged(metrics, name, shown) {
  const text = shown(metrics[name]);
  if (metrics.green_flags.includes(name)) return element("span.flag.good", { title: "green flag" }, text, " ", sign("▲", "green flag"));
  if (metrics.red_flags.includes(name)) return element("span.flag.bad", { title: "red flag" }, text, " ", sign("▼", "red flag"));
  return text;
}

const sign = (shape, said) => element("span", { role: "img", "aria-label": said }, shape);
