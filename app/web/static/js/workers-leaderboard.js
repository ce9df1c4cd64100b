// The workers that have scanned the most keys.

import { byId } from "./dom.js";
import { follow } from "./follow.js";
import { count } from "./numbers.js";
import { board } from "./parts.js";
import { DOMAIN, workerPage } from "./throughput.js";

follow(DOMAIN, "/api/v1/leaderboard", ({ results }) => {
  const most = results[0]?.value || 1;
  board(byId("board"), results.map(({ rank, worker, value }) =>
    ({ rank, name: worker, href: workerPage(worker), share: value / most, text: count(value) })),
  "No worker yet. They appear with their first batch.");
});
