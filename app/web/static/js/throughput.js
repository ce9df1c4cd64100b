// What the pages of workers have in common: how throughput is shown, over all of them and of one.

import { byId, element, fill } from "./dom.js";
import { follow } from "./follow.js";
import { brief, count, rate } from "./numbers.js";
import { orEmpty, silent, tile } from "./parts.js";
import { pair } from "./charts.js";
import { table } from "./table.js";
import { span } from "./times.js";

export const DOMAIN = ["workers"];
export const workerPage = (worker) => `/worker/${encodeURIComponent(worker)}`;

const exactly = (speed) => (speed === null ? null : `${speed.toLocaleString("en")} keys/s`);
export const speed = (value) => element("span", { title: exactly(value) }, rate(value));
export const speedTile = (label, value) => tile(label, rate(value), exactly(value));
export const keys = (value) => element("span", { title: count(value) }, brief(value));
export const keysTile = (label, value) => tile(label, brief(value), count(value));
export const worked = (milliseconds) => span(milliseconds / 1000);

/** Keys as bars and the average speed as a line, per day or month: (tiers with their names) -> drawn. */
export function throughputChart(name, none) {
  const draw = pair(byId(name), ["Keys", "keys"], ["Speed", "keys/s"]);
  return (tiers) => {
    orEmpty(name, tiers.every(({ total_batches: batches }) => !batches), none);
    const said = tiers.map((tier) => `${tier.name}: ${count(tier.total_keys_scanned)} keys, ${rate(tier.average_keys_per_second)} keys/s`);
    draw({
      label: said.join("; ") || none,
      names: tiers.map((tier) => tier.name),
      bars: tiers.map((tier) => tier.total_keys_scanned),
      line: tiers.map((tier) => tier.average_keys_per_second),
    });
  };
}

const IDLE = { workers: 0, total_batches: 0, total_keys_scanned: 0, total_duration_ms: 0, average_keys_per_second: null, error_count: 0 };

/**
 * A page of all workers by `day` or `month`: the last ones, those without work included.
 * `named` and `briefly` say how one is called, in the table and in the chart; `last()` which ones they are.
 */
export function showPeriods(path, period, [named, briefly], last) {
  const draw = throughputChart("chart", `No work in these ${period}s.`);
  const amount = (head, name) => ({ head, number: true, cell: (tier) => count(tier[name]) });
  const drawTable = table(byId("periods"), [
    { head: period === "day" ? "Day" : "Month", cell: (tier) => element("span", { title: `${tier[period]}, UTC` }, named(tier[period])) },
    amount("Workers", "workers"),
    amount("Batches", "total_batches"),
    amount("Keys", "total_keys_scanned"),
    { head: "Worked", number: true, cell: (tier) => worked(tier.total_duration_ms) },
    { head: "Keys/s", number: true, cell: (tier) => speed(tier.average_keys_per_second) },
    amount("Errors", "error_count"),
  ], `No ${period} yet.`);
  follow(DOMAIN, path, (answer) => {
    const found = new Map(answer[`${period}s`].map((tier) => [tier[period], tier]));
    const tiers = last().map((name) => ({ ...IDLE, [period]: name, ...found.get(name), name: briefly(name) }));
    const sum = (name) => tiers.reduce((so_far, tier) => so_far + tier[name], 0);
    const [scanned, milliseconds] = [sum("total_keys_scanned"), sum("total_duration_ms")];
    fill(byId("tiles"),
      keysTile("Keys", scanned),
      speedTile("Average, keys/s", milliseconds ? (1000 * scanned) / milliseconds : null),
      tile("Batches", count(sum("total_batches"))),
      tile("Worked", worked(milliseconds)),
      tile("Workers", count(Math.max(...tiers.map((tier) => tier.workers))), `the most in a ${period}`),
      tile("Errors", count(sum("error_count"))));
    draw(tiers);
    drawTable([...tiers].reverse());
    byId("periods-note").textContent = `The newest first, in UTC.${silent(answer)}`;
  }, { agesMs: 60_000 });
}
