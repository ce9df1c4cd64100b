// What aggregators make of the snapshots of projects: a pick per day, a rollup per week.

import { lines } from "./charts.js";
import { byId, element } from "./dom.js";
import { follower } from "./follow.js";
import { count, counted, decimal } from "./numbers.js";
import { orEmpty, segments, silent } from "./parts.js";
import { table } from "./table.js";
import { day, shortDay, time } from "./times.js";

const DOMAIN = ["rollups"];
const SHOWN = 60; // in the chart
const LISTED = 10; // of those, the newest
const SPANS = [["daily", "Daily"], ["weekly", "Weekly"]];
const SERIES = ["projects", "active"]; // of the totals, which may hold others
const draw = lines(byId("rollups"), ["Projects", "Active"], "projects");
const followed = follower(DOMAIN, show);
const deployments = new Map(); // of which there are rollups: "env / instance" -> [env, instance]
let span = "daily";
let chosen = null;

const amount = (head, cell) => ({ head, number: true, cell });
const TABLES = {
  daily: [
    { head: "Day", cell: (pick) => element("span", { title: `${pick.day}, UTC` }, day(pick.day)) },
    amount("Projects", ({ totals }) => count(totals.projects)),
    amount("Active", ({ totals }) => count(totals.active)),
    { head: "Snapshot of", cell: (pick) => time(pick.timestamp) },
  ],
  weekly: [
    { head: "Week", cell: (week) => element("span", { title: `${week.from} to ${week.to}, UTC` }, week.week) },
    amount("Projects", ({ totals }) => count(totals.projects?.last)),
    amount("Least", ({ totals }) => count(totals.projects?.min)),
    amount("Most", ({ totals }) => count(totals.projects?.max)),
    amount("Mean", ({ totals }) => decimal(totals.projects?.mean, 1)),
    amount("Active, mean", ({ totals }) => decimal(totals.active?.mean, 1)),
    { head: "Days", cell: (week) => counted(week.days, "day") + (week.missing_days.length ? `, ${week.missing_days.length} missing` : "") },
    { head: "State", cell: ({ closed }) => element("span.chip", {}, closed ? "closed" : "open") },
  ],
};
let drawTable = null;

function start() {
  const place = element("table", { id: "rollups-table" });
  byId("rollups-table").replaceWith(place);
  drawTable = table(place, TABLES[span], "No rollup yet. They come with the first snapshot.");
  ask();
}

/** Of all deployments until it is known which there are, then of the chosen one. */
function ask() {
  const of = chosen === null ? {} : { env: deployments.get(chosen)[0], instance: deployments.get(chosen)[1] };
  followed(`/rollups/${span}?${new URLSearchParams({ per_page: SHOWN, ...of })}`);
}

const nameOf = ({ env, instance_id: instance }) => [env || "no environment", instance || "no instance"].join(" / ");

function show(answer) {
  if (chosen === null && answer.results.length) {
    for (const line of answer.results) deployments.set(nameOf(line), [line.env, line.instance_id ?? ""]);
    [chosen] = deployments.keys();
    const choice = byId("deployment");
    choice.hidden = deployments.size < 2;
    choice.replaceChildren(...[...deployments.keys()].map((name) => element("option", { value: name }, name)));
    if (deployments.size > 1) return ask();
  }
  const oldestFirst = [...answer.results].reverse();
  const names = oldestFirst.map((line) => (span === "daily" ? shortDay(line.day) : line.week));
  const value = ({ totals }, name) => (span === "daily" ? totals[name] : totals[name]?.mean) ?? null;
  const values = SERIES.map((name) => oldestFirst.map((line) => value(line, name)));
  orEmpty("rollups", !names.length, "No rollup yet. They come with the first snapshot.");
  const last = names.length ? `last, ${names.at(-1)}: ${decimal(values[0].at(-1), 1)} projects, ${decimal(values[1].at(-1), 1)} active` : "none";
  draw({ label: `${counted(names.length, span === "daily" ? "day" : "week")}; ${last}`, names, lines: values });
  drawTable(answer.results.slice(0, LISTED));
  const what = span === "daily" ? "The first snapshot of every day (UTC)." : "Means over a week's days; an open week as it stands.";
  byId("rollups-note").textContent = `${what}${chosen ? ` ${chosen}.` : ""}${silent(answer)}`;
  return undefined;
}

byId("deployment").addEventListener("change", ({ target }) => { chosen = target.value; ask(); });
segments(byId("span"), "Rollups", SPANS, span, (value) => { span = value; start(); });
start();
