// One worker: its lifetime, days and months as charts, and its single batches.

import { whenMissing } from "./connection.js";
import { byId, element, entity, fill } from "./dom.js";
import { follow } from "./follow.js";
import { count } from "./numbers.js";
import { bars, freshness, tile } from "./parts.js";
import { table } from "./table.js";
import { DOMAIN, keysTile, speed, speedTile, throughputChart, worked } from "./throughput.js";
import { month, shortDay, time } from "./times.js";

const [SHOWN_DAYS, SHOWN_MONTHS, SHOWN_BATCHES] = [30, 24, 20];
const SPEEDS = [
  ["max_keys_per_second", "Fastest"], ["p95_keys_per_second", "95 % below"], ["average_keys_per_second", "Average"],
  ["p50_keys_per_second", "Median"], ["min_keys_per_second", "Slowest"],
];
const worker = entity();
const view = (name = "") => `/api/v1/workers/${encodeURIComponent(worker)}${name}`;
const fresh = freshness(byId("freshness"));
const drawDays = throughputChart("days", "No work yet.");
const drawMonths = throughputChart("months", "No work yet.");
const drawHistory = table(byId("history"), [
  { head: "Finished", cell: (batch) => time(batch.finished_at) },
  { head: "Job", cell: (batch) => element("span.cut", { title: batch.job_id }, batch.job_id ?? "–") },
  { head: "Keys", number: true, cell: (batch) => count(batch.keys_scanned) },
  { head: "Worked", number: true, cell: (batch) => worked(batch.duration_ms) },
  { head: "Keys/s", number: true, cell: (batch) => speed(batch.keys_per_second) },
  { head: "Batch size", number: true, cell: (batch) => count(batch.batch_size) },
  { head: "Error", cell: ({ error_message: error }) => (error ? element("span.cut.wrong", { title: error }, error) : "–") },
], "No single batch is kept any more. Days, months and the lifetime hold what it has done.");

byId("name").textContent = worker;
document.title = `${worker} · Tidemark`;
whenMissing("No such worker", `No worker called “${worker}” has finished a batch in what is kept here.`, "/workers", "All workers");

function show(answer) {
  const { lifetime, active } = answer;
  fresh(answer);
  fill(byId("badges"),
    element("span.chip", {}, answer.worker_type), " ",
    element("span.pill", { "data-state": active ? "live" : "idle" }, element("span.dot"), active ? "active" : "idle"));
  fill(byId("tiles"),
    keysTile("Keys", lifetime.total_keys_scanned),
    tile("Batches", count(lifetime.total_batches)),
    tile("Worked", worked(lifetime.total_duration_ms), `${count(lifetime.total_duration_ms)} ms`),
    speedTile("Average, keys/s", lifetime.average_keys_per_second),
    speedTile("Latest, keys/s", answer.latest_keys_per_second),
    tile("Errors", count(lifetime.error_count)));
  const most = lifetime.max_keys_per_second || 1;
  const lines = SPEEDS.map(([name, label]) => [label, (lifetime[name] ?? 0) / most, speed(lifetime[name])]);
  fill(byId("speeds"), bars(lifetime.max_keys_per_second === null ? [] : lines, "No batch with a duration yet."));
  fill(byId("seen"), "In keys per second. First seen ", time(answer.first_seen_at), ", last seen ", time(answer.last_seen_at), ".");
}

const named = (tiers, name, say, shown) => tiers.slice(-shown).map((tier) => ({ ...tier, name: say(tier[name]) }));

follow(DOMAIN, view(), show, { agesMs: 15_000 });
follow(DOMAIN, view("/daily"), ({ days }) => drawDays(named(days, "day", shortDay, SHOWN_DAYS)));
follow(DOMAIN, view("/monthly"), ({ months }) => drawMonths(named(months, "month", month, SHOWN_MONTHS)));
follow(DOMAIN, view(`/history?limit=${SHOWN_BATCHES}`), ({ kept, batches }) => {
  byId("history-note").textContent = kept > batches.length ? `The last ${count(batches.length)} of ${count(kept)} that are kept` : "The last first";
  drawHistory(batches);
});
