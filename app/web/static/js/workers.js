// All workers: what they have done together, who has done most, and a list.

import { address, pageNumber, query } from "./address.js";
import { byId, element, fill } from "./dom.js";
import { follow, follower } from "./follow.js";
import { brief, count } from "./numbers.js";
import { board, segments, silent, tile } from "./parts.js";
import { pager, table } from "./table.js";
import { DOMAIN, keys, keysTile, speed, speedTile, workerPage } from "./throughput.js";
import { time } from "./times.js";

const PER_PAGE = 20;
const SHOWN_BEST = 5;
const AGES = { agesMs: 15_000 }; // who is active changes with time alone
const ACTIVE = [["all", "All"], ["true", "Active"], ["false", "Idle"]];
const SORTS = ["worker", "keys", "last_seen"];
const { values: asked, set } = address(
  { sort: "worker", active: "all", page: "1" }, { sort: SORTS, active: ACTIVE.map(([value]) => value) });
const sorting = { by: asked.sort, falling: asked.sort !== "worker" };

const lifetime = (head, name, cell = count, sort = null) =>
  ({ head, number: true, sort, cell: (worker) => cell(worker.lifetime[name]) });
const drawList = table(byId("list"), [
  { head: "Worker", sort: "worker", cell: ({ worker: id }) => element("a", { href: workerPage(id) }, id) },
  { head: "Type", cell: (worker) => element("span.chip", {}, worker.worker_type) },
  { head: "State", cell: ({ active }) => element("span.pill", { "data-state": active ? "live" : "idle" }, element("span.dot"), active ? "active" : "idle") },
  { head: "Now, keys/s", number: true, cell: (worker) => (worker.active ? speed(worker.latest_keys_per_second) : "–") },
  lifetime("Average, keys/s", "average_keys_per_second", speed),
  lifetime("Keys", "total_keys_scanned", keys, "keys"),
  lifetime("Batches", "total_batches"),
  lifetime("Errors", "error_count"),
  { head: "Last seen", sort: "last_seen", cell: (worker) => time(worker.last_seen_at) },
], "No worker here.", sorting, (by) => {
  Object.assign(sorting, { by, falling: by !== "worker" }); // the API sorts each in one direction
  change({ sort: by });
});
const turnTo = pager(byId("pages"), (page) => change({ page: String(page) }));
const followList = follower(DOMAIN, showList, AGES);
const list = () => followList(
  query("/api/v1/workers", { sort: asked.sort, active: asked.active, page: pageNumber(asked.page), per_page: PER_PAGE }));

function change(changes) {
  set({ page: "1", ...changes });
  list();
}

function showStats(stats) {
  fill(byId("tiles"),
    tile("Workers", count(stats.workers)),
    tile("Active", count(stats.active_workers), "seen in the last 5 minutes"),
    tile("Now, keys/s", brief(stats.keys_per_second), `${count(stats.keys_per_second)}: the latest speeds of those seen in the last 10 minutes, together`),
    keysTile("Keys", stats.total_keys_scanned),
    speedTile("Average, keys/s", stats.average_keys_per_second),
    tile("Errors", count(stats.error_count), `in ${count(stats.total_batches)} batches`));
}

function showBoard({ results }) {
  const most = results[0]?.value || 1;
  board(byId("board"), results.slice(0, SHOWN_BEST).map(({ rank, worker, value }) =>
    ({ rank, name: worker, href: workerPage(worker), share: value / most, text: keys(value) })),
  "No worker yet. They appear with their first batch.");
}

function showList(answer) {
  drawList(answer.results);
  turnTo(pageNumber(asked.page), PER_PAGE, answer.total);
  byId("list-note").textContent = `Active: seen in the last 5 minutes.${silent(answer)}`;
}

segments(byId("active"), "Which workers", ACTIVE, asked.active, (active) => change({ active }));
follow(DOMAIN, "/api/v1/stats", showStats, AGES);
follow(DOMAIN, "/api/v1/leaderboard", showBoard);
list();
