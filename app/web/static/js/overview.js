// The overview: throughput, domains and how their records end, partitions, and what can be asked.

import { spark } from "./charts.js";
import { byId, element, fill, portion } from "./dom.js";
import { STATUS, follow } from "./follow.js";
import { brief, count, counted, percent } from "./numbers.js";
import { nothing } from "./parts.js";
import { ago, time, utc } from "./times.js";

const TICK_MS = 2_000;
const SHOWN_TICKS = 60; // two minutes
const IDLE_MS = 2 * TICK_MS; // nothing is told while nothing changes
// A page is reached by its domain; rollups are shown with the projects that they are made of.
const pages = Object.fromEntries([...document.querySelectorAll(".bar [data-domain]")].map((link) => [link.dataset.domain, link.pathname]));
pages.rollups = pages.projects;
const rates = new Array(SHOWN_TICKS).fill(0);
const drawRates = spark(byId("spark"));
const opened = new Set(); // domains whose partitions are shown one by one
let before = null; // {consumed, at} of the answer before
let rate = 0;
let latest = null;

const sum = (values) => values.reduce((so_far, value) => so_far + value, 0);
const consumedBy = (domains) => sum(domains.map((domain) => domain.consumed));

function measure(consumed) {
  const at = performance.now();
  if (before) rate = Math.max(0, (consumed - before.consumed) / ((at - before.at) / 1000));
  before = { consumed, at };
}

function tick() {
  if (!before) return;
  const now = performance.now();
  if (now - before.at > IDLE_MS) {
    rate = 0;
    before.at = now - TICK_MS; // what comes next has come within a tick, not within the instant since this one
  }
  rates.push(rate);
  rates.shift();
  byId("rate").textContent = brief(rate);
  byId("rate").classList.remove("wait");
  drawRates({ label: `Throughput: ${brief(rate)} records per second`, values: rates });
}

function show(status) {
  latest = status;
  const consumed = consumedBy(status.domains);
  measure(consumed);
  byId("consumed").textContent = brief(consumed);
  byId("consumed").title = count(consumed);
  byId("lag").textContent = brief(lagOf(status.partitions));
  byId("not-ready").hidden = status.ready;
  byId("reasons").replaceChildren(...status.reasons.map((reason) => element("li", {}, reason)));
  showAge();
  fill(byId("last-at"), ...(status.as_of ? ["ago · ", time(status.as_of)] : ["event time"]));
  byId("version").textContent = `${status.application} · ${status.version}`;
  fill(byId("outcomes"), ...status.domains.map(domainOutcomes));
  showPartitions();
  const silent = status.silent_workers.length ? `, ${status.silent_workers.length} silent` : "";
  byId("workers").textContent = `${counted(status.workers.length, "worker")}${silent}`;
}

/** A sum without the partitions that nobody knows the lag of would look like good news. */
function lagOf(partitions) {
  const lags = partitions.map((partition) => partition.lag_records);
  return lags.includes(null) ? null : sum(lags);
}

function showAge() {
  if (!latest) return;
  byId("last").textContent = latest.as_of ? ago(latest.as_of) : "none yet";
  byId("last").title = latest.as_of ? utc(latest.as_of) : "";
}

function domainOutcomes(domain) {
  const named = Object.entries(domain.outcomes);
  const stack = element("div.stack", { "aria-hidden": "true" });
  if (domain.consumed) {
    stack.append(...named.filter(([, n]) => n).map(([name, n]) => portion(n / domain.consumed, name, name)));
  }
  const legend = named.map(([name, n]) =>
    element("li", {}, element(`span.swatch.${name}`), name, element("b", {}, count(n)),
      element("span.quiet", {}, domain.consumed ? percent((100 * n) / domain.consumed) : "")));
  const page = pages[domain.name];
  const said = [`${counted(domain.keys, domain.entity_name)} kept`, `${counted(domain.consumed, "record")} consumed`];
  if (domain.last_event_at) said.push(`last event ${ago(domain.last_event_at)} ago`);
  return element("div.domain", {},
    element("div.domain-head", {},
      element("h3", {}, page ? element("a", { href: page }, domain.name) : domain.name),
      element("p.quiet", {}, said.join(" · "))),
    stack,
    domain.consumed ? element("ul.legend", {}, ...legend) : nothing("No record has been consumed yet."));
}

// -- partitions: a line for each domain, which opens into its partitions; by itself where one of them is not live --

function showPartitions() {
  const bodies = latest.domains.map(({ name }) => {
    const partitions = latest.partitions.filter((partition) => partition.domain === name);
    const open = opened.has(name) || partitions.some((partition) => partition.state !== "live");
    return [domainRow(name, partitions, open), ...(open ? partitions.map(partitionRow) : [])];
  });
  fill(byId("partitions"), ...bodies.flat());
}

function domainRow(name, partitions, open) {
  const button = element("button", { type: "button", "aria-expanded": String(open) }, name);
  button.addEventListener("click", () => {
    if (open) opened.delete(name);
    else opened.add(name);
    showPartitions();
  });
  const states = Object.entries(Object.groupBy(partitions, (partition) => partition.state));
  const rows = partitions.map((partition) => partition.rows);
  const owners = new Set(partitions.map((partition) => partition.worker));
  return element("tr.group", {},
    element("th", { scope: "row" }, button),
    element("td", {}, ...states.map(([state, those]) => pill(state, `${those.length} ${state}`))),
    element("td.number", {}, count(rows.includes(null) ? null : sum(rows))),
    element("td.number", {}, count(sum(partitions.map((partition) => partition.position ?? 0)))),
    element("td.number", {}, count(lagOf(partitions))),
    element("td.quiet", {}, owners.size === 1 ? hostOf(partitions[0]) : counted(owners.size, "worker")));
}

const hostOf = ({ worker }) => (worker ? new URL(worker).host : "nobody");
const pill = (state, text, title = null) => element("span.pill", { "data-state": state, title }, element("span.dot"), text);

function partitionRow(partition) {
  return element("tr.member", {},
    element("th", { scope: "row" }, `${partition.domain} ${partition.partition}`),
    element("td", {}, pill(partition.state, partition.state, partition.error || null)),
    element("td.number", {}, count(partition.rows)),
    element("td.number", {}, count(partition.position)),
    element("td.number", {}, count(partition.lag_records)),
    element("td.quiet", {}, hostOf(partition)));
}

// -- what can be asked --

function showViews({ views, actions }) {
  const own = [
    { path: "/api/v1/status", about: "What all workers are doing.", parameters: [] },
    { path: "/api/v1/live", about: "Server-sent events whenever a domain has changed.", parameters: [] },
    { path: "/health/ready", about: "Whether this worker is ready.", parameters: [] },
  ];
  const groups = [["workers and health", own], ...Object.entries(Object.groupBy([...views, ...actions], (view) => view.domain))];
  byId("views").replaceChildren(...groups.map(([name, listed]) => element("details", {},
    element("summary", {}, name, element("span.quiet", {}, ` ${listed.length}`)),
    element("ul.views", {}, ...listed.map(viewLine)))));
}

function viewLine({ method, path, about, parameters = [] }) {
  const code = element("code", {}, method ? `${method} ${path}` : path);
  const said = parameters.map((each) => (each.allowed.length ? `${each.name}=${each.allowed.join("|")}` : each.name));
  return element("li", {},
    method || path.includes("{") ? code : element("a", { href: path }, code),
    element("span.quiet", {}, [about, ...said].join(" · ")));
}

setInterval(tick, TICK_MS);
setInterval(showAge, 1_000);
// Which domains there are says the page itself, in its own navigation.
follow([...Object.keys(pages)], STATUS, show, { agesMs: 15_000 });
const stop = follow([], "/api/v1", (answer) => { showViews(answer); setTimeout(() => stop()); });
