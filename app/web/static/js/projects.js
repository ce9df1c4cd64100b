// A service's projects: counts of those that match, a list of them, and a snapshot on demand.

import { address, pageNumber, query } from "./address.js";
import { histogram } from "./charts.js";
import { byId, element, fill } from "./dom.js";
import { follow, follower } from "./follow.js";
import { count, decimal, percent } from "./numbers.js";
import { bars, freshness, orEmpty, segments, silent, tile } from "./parts.js";
import "./rollups.js";
import { pager, table } from "./table.js";
import { time } from "./times.js";

const DOMAIN = ["projects"];
const PER_PAGE = 20;
const SHOWN_NAMES = 8; // bars of statuses and priorities; the rest is one bar
const TYPING_MS = 250;
const ACTIVE = [["", "All"], ["true", "Active"], ["false", "Inactive"]];
const RISING = new Set(["name", "status", "priority"]); // begin with the first; dates and numbers with the greatest
const SORTS = ["updated", "name", "status", "priority", "progress"];
const { values: asked, set } = address(
  { status: "", priority: "", customer_id: "", active: "", sort: "updated", direction: "desc", page: "1" },
  { active: ACTIVE.map(([value]) => value), sort: SORTS, direction: ["asc", "desc"] });
const sorting = { by: asked.sort, falling: asked.direction === "desc" };

const fresh = freshness(byId("freshness"));
const drawProgress = histogram(byId("progress"), "projects");
const drawList = table(byId("list"), [
  { head: "Project", sort: "name", cell: ({ name, project_id: id }) => [element("span.cut", { title: name }, name || id), element("span.quiet.under", {}, id)] },
  { head: "Status", sort: "status", cell: ({ status }) => element("span.chip", {}, status) },
  { head: "Priority", sort: "priority", cell: ({ priority }) => element("span.chip", {}, priority) },
  { head: "Progress", sort: "progress", number: true, className: "with-meter", cell: ({ progress }) => [element("progress", { max: 100, value: progress, "aria-hidden": "true" }), element("span", {}, `${decimal(progress, 0)} %`)] },
  { head: "Active", cell: ({ active }) => (active ? "yes" : "no") },
  { head: "Customer", cell: ({ customer_id: customer }) => (customer === null ? "–" : element("span.cut", { title: customer }, customer)) },
  { head: "Started", cell: (project) => time(project.started_at) },
  { head: "Finished", cell: (project) => time(project.finished_at) },
  { head: "Changed", sort: "updated", cell: (project) => time(project.updated_at) },
], "No project matches.", sorting, (by) => {
  const falling = sorting.by === by ? !sorting.falling : !RISING.has(by);
  Object.assign(sorting, { by, falling });
  set({ sort: by, direction: falling ? "desc" : "asc", page: "1" });
  list();
});
const turnTo = pager(byId("pages"), (page) => { set({ page: String(page) }); list(); });
const followStats = follower(DOMAIN, showStats);
const followList = follower(DOMAIN, showList);
const filters = () => ({ status: asked.status, priority: asked.priority, customer_id: asked.customer_id, active: asked.active });
const list = () => followList(query("/projects",
  { ...filters(), sort: asked.sort, direction: asked.direction, page: pageNumber(asked.page), per_page: PER_PAGE }));

function start() {
  followStats(query("/stats", filters()));
  list();
}

function filter(changes) {
  set({ ...changes, page: "1" });
  start();
}

function showStats(answer) {
  const { totals: { projects, active }, by_status: statuses, by_priority: priorities, progress_distribution: bins } = answer;
  fresh(answer);
  fill(byId("tiles"),
    tile("Projects", count(projects)),
    tile("Active", count(active), projects ? percent((100 * active) / projects) : null),
    tile("Inactive", count(projects - active)));
  fill(byId("by-status"), named(statuses, projects));
  fill(byId("by-priority"), named(priorities, projects));
  orEmpty("progress", !projects, "No project matches.");
  const edges = bins.map((_, bin) => `${10 * bin}–${10 * (bin + 1)}`);
  drawProgress({ label: edges.map((edge, bin) => `${edge} %: ${count(bins[bin])}`).join(", "), names: edges, counts: bins });
}

function named(counts, projects) {
  const ranked = Object.entries(counts).sort(([a, n], [b, m]) => m - n || a.localeCompare(b));
  const rest = ranked.slice(SHOWN_NAMES);
  const lines = ranked.slice(0, SHOWN_NAMES);
  if (rest.length) lines.push([`${rest.length} more`, rest.reduce((sum, [, n]) => sum + n, 0)]);
  return bars(lines.map(([name, n]) => [name, n / projects, `${count(n)} · ${percent((100 * n) / projects)}`]), "No project matches.");
}

function showList(answer) {
  drawList(answer.results);
  turnTo(pageNumber(asked.page), PER_PAGE, answer.total);
  byId("list-note").textContent = `${count(answer.total)} in all.${silent(answer)}`;
}

// -- filters --

/** What a filter can be set to, with what it is set to among it, even when no project is like that any more. */
function choices(place, offered, chosen) {
  const names = offered.map(({ name, projects }) => [name, `${name} (${count(projects)})`]);
  if (chosen && !offered.some(({ name }) => name === chosen)) names.push([chosen, `${chosen} (0)`]);
  const options = [["", "All"], ...names].map(([value, label]) => element("option", { value }, label));
  if (document.activeElement !== place || !place.value) place.replaceChildren(...options); // not while it is open
  place.value = chosen;
}

follow(DOMAIN, "/status-meta", ({ statuses, priorities }) => {
  choices(byId("status"), statuses, asked.status);
  choices(byId("priority"), priorities, asked.priority);
});
byId("status").addEventListener("change", ({ target }) => filter({ status: target.value }));
byId("priority").addEventListener("change", ({ target }) => filter({ priority: target.value }));
segments(byId("active"), "Which projects", ACTIVE, asked.active, (active) => filter({ active }));
let typing = 0;
byId("customer").value = asked.customer_id;
byId("customer").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => filter({ customer_id: target.value }), TYPING_MS);
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());

// -- a snapshot on demand --

byId("publish").addEventListener("click", async () => {
  const [button, said] = [byId("publish"), byId("published")];
  if (button.getAttribute("aria-disabled")) return; // not `disabled`, which would take the keyboard's focus away
  button.setAttribute("aria-disabled", "true");
  fill(said, "Taking it …");
  try {
    const answer = await fetch("/snapshots", { method: "POST" });
    const body = await answer.json();
    if (answer.ok) fill(said, "Published, as of ", time(body.timestamp));
    else fill(said, element("span.wrong", {}, `Not published: ${body.error.message}.`));
  } catch {
    fill(said, element("span.wrong", {}, "Not published: the worker does not answer."));
  }
  button.removeAttribute("aria-disabled");
});
start();
