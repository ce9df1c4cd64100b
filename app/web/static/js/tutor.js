// One tutor: three windows side by side.

import { lines } from "./charts.js";
import { whenMissing } from "./connection.js";
import { byId, element, entity, fill } from "./dom.js";
import { follow } from "./follow.js";
import { counted, decimal } from "./numbers.js";
import { freshness, orEmpty } from "./parts.js";
import { table } from "./table.js";
import { DOMAIN, FLAGGED, METRICS, WINDOWS, badge, flagged } from "./windows.js";

const AGES = { agesMs: 60_000 }; // sessions leave a window with time alone; the worker tells of most of it
const TREND = ["engagement_score", "learning_objectives_met_pct", "first_session_success_rate", "reschedule_rate"];
const tutor = entity();
const answers = new Map();
const fresh = freshness(byId("freshness"));
const flags = new Set(FLAGGED.map(([name]) => name));
const nameOf = (metric) => METRICS.find(([name]) => name === metric)[1];
const drawTrend = lines(byId("trend"), TREND.map(nameOf), "percent", { suggestedMax: 100 });
const drawMetrics = table(byId("metrics"), [
  { head: "Metric", cell: ([, label]) => label },
  ...WINDOWS.map(([window, head]) => ({
    head, number: true,
    cell: ([name, , shown]) => {
      const { metrics } = answers.get(window);
      return flags.has(name) ? flagged(metrics, name, shown) : shown(metrics[name]);
    },
  })),
], "");

byId("name").textContent = tutor;
document.title = `${tutor} · Tidemark`;
whenMissing("No such tutor", `Nothing of a tutor called “${tutor}” is kept here.`, "/tutors", "All tutors");

function show() {
  if (answers.size < WINDOWS.length) return;
  fill(byId("windows"), ...WINDOWS.map(windowTile));
  drawMetrics(METRICS);
  const longestFirst = [...WINDOWS].reverse();
  const values = TREND.map((name) => longestFirst.map(([window]) => answers.get(window).metrics[name]));
  orEmpty("trend", values.flat().every((value) => value === null), "No sessions in the last 90 days.");
  const said = TREND.map((name, place) => `${nameOf(name)}: ${values[place].map((value) => decimal(value, 1)).join(", ")}`);
  drawTrend({ label: `Over 90, 30 and 7 days. ${said.join(". ")}.`, names: longestFirst.map(([, label]) => label), lines: values });
  const [{ pending_feedback: pending }] = answers.values();
  const full = [...answers.values()].some(({ metrics }) => metrics.truncated) ? " The oldest of it had to go: there was too much." : "";
  const waits = pending ? ` ${counted(pending, "rating")} wait for their session.` : "";
  byId("metrics-note").textContent = `▲ is a green flag, ▼ a red one.${waits}${full}`;
}

function windowTile([window, label]) {
  const { tier, metrics } = answers.get(window);
  const said = `${counted(metrics.green_flags.length, "green flag")}, ${counted(metrics.red_flags.length, "red flag")}`;
  return element("article.tile", {}, element("h2", {}, `Last ${label}`), element("p.figure", {}, badge(tier)),
    element("p.quiet", {}, `${counted(metrics.sessions, "session")} · ${said}`));
}

for (const [window] of WINDOWS) {
  follow(DOMAIN, `/api/tutors/${encodeURIComponent(tutor)}/metrics?window=${window}`, (answer) => {
    answers.set(window, answer);
    fresh(answer);
    show();
  }, AGES);
}
