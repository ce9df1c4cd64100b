// The overview: throughput, outcomes, partitions, and what can be asked.

import { spark } from "./charts.js";
import { ago, brief, byId, count, counted, element, percent, portion } from "./dom.js";
import { STATUS, follow } from "./follow.js";

const SHOWN_ANSWERS = 60; // two minutes
const rates = new Array(SHOWN_ANSWERS).fill(0);
const drawRates = spark(byId("spark"));
let before = null; // {consumed, at} of the last answer
let latest = null;

const consumedBy = (domains) => domains.reduce((sum, domain) => sum + domain.consumed, 0);

function measure(consumed) {
  const at = performance.now();
  if (before) {
    const rate = Math.max(0, (consumed - before.consumed) / ((at - before.at) / 1000));
    rates.push(rate);
    rates.shift();
    byId("rate").textContent = brief(rate);
    byId("rate").classList.remove("wait");
    drawRates({ label: `Throughput: ${brief(rate)} records per second`, values: rates });
  }
  before = { consumed, at };
}

function show(status) {
  latest = status;
  const consumed = consumedBy(status.domains);
  measure(consumed);
  byId("consumed").textContent = brief(consumed);
  byId("consumed").title = count(consumed);
  const lags = status.partitions.map((partition) => partition.lag_records);
  // A sum without the partitions that nobody knows the lag of would look like good news.
  byId("lag").textContent = lags.includes(null) ? "–" : brief(lags.reduce((sum, lag) => sum + lag, 0));
  byId("not-ready").hidden = status.ready;
  byId("reasons").replaceChildren(...status.reasons.map((reason) => element("li", {}, reason)));
  showAge();
  byId("last-at").textContent = status.as_of ? `ago · ${status.as_of.replace("T", " ").slice(0, 19)} UTC` : "event time";
  byId("version").textContent = `${status.application} · ${status.version}`;
  byId("outcomes").replaceChildren(...status.domains.map(domainOutcomes));
  byId("partitions").replaceChildren(...status.partitions.map(partitionRow));
  const silent = status.silent_workers.length ? `, ${status.silent_workers.length} silent` : "";
  byId("workers").textContent = `${counted(status.workers.length, "worker")}${silent}`;
}

function showAge() {
  if (latest) byId("last").textContent = latest.as_of ? ago(latest.as_of) : "none yet";
}

function domainOutcomes(domain) {
  const named = Object.entries(domain.outcomes);
  const bar = element("div.stack", { "aria-hidden": "true" });
  if (domain.consumed) {
    bar.append(...named.filter(([, n]) => n).map(([name, n]) => portion(n / domain.consumed, name, name)));
  }
  const legend = named.map(([name, n]) =>
    element("li", {}, element(`span.swatch.${name}`), name, element("b", {}, count(n)),
      element("span.quiet", {}, domain.consumed ? percent((100 * n) / domain.consumed) : "")));
  return element("div.domain", {},
    element("div.domain-head", {}, element("h3", {}, domain.name),
      element("p.quiet", {}, `${counted(domain.keys, domain.entity_name)} kept`)),
    bar,
    domain.consumed ? element("ul.legend", {}, ...legend) : element("p.empty", {}, "No record has been consumed yet."));
}

function partitionRow(partition) {
  const state = element("span.pill", { "data-state": partition.state, title: partition.error || null },
    element("span.dot"), partition.state);
  return element("tr", {},
    element("th", { scope: "row" }, `${partition.domain} ${partition.partition}`),
    element("td", {}, state),
    element("td.number", {}, count(partition.rows)),
    element("td.number", {}, count(partition.position)),
    element("td.number", {}, count(partition.lag_records)),
    element("td.quiet", {}, partition.worker ? new URL(partition.worker).host : "nobody"));
}

function showViews({ views }) {
  const line = (view) => {
    const fixed = !view.path.includes("{");
    const path = element("code", {}, view.path);
    const parameters = view.parameters.map((p) => (p.allowed.length ? `${p.name}=${p.allowed.join("|")}` : p.name));
    return element("li", {},
      fixed ? element("a", { href: view.path }, path) : path,
      element("span.quiet", {}, [view.about, ...parameters].join(" · ")));
  };
  const own = [["/api/v1/status", "What all workers are doing."], ["/health/ready", "Whether this worker is ready."]]
    .map(([path, about]) => element("li", {}, element("a", { href: path }, element("code", {}, path)), element("span.quiet", {}, about)));
  byId("views").replaceChildren(...views.map(line), ...own);
}

setInterval(showAge, 1_000);
follow(STATUS, show, () => latest && measure(consumedBy(latest.domains)));
const stop = follow("/api/v1", (answer) => { showViews(answer); setTimeout(() => stop()); });
