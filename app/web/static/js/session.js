// One assessed session.

import { whenMissing } from "./connection.js";
import { byId, entity, fill } from "./dom.js";
import { follow } from "./follow.js";
import { brief, count, decimal } from "./numbers.js";
import { bars, freshness, tile } from "./parts.js";
import { DOMAIN, tierBars } from "./tiers.js";
import { time } from "./times.js";

const ENDS = [["success", "Success", "good"], ["partial", "Partial", "late"], ["failure", "Failure", "invalid"], ["abandoned", "Abandoned", "duplicate"]];
const session = entity();
const fresh = freshness(byId("freshness"));

byId("name").textContent = session;
document.title = `${session} · Tidemark`;
whenMissing("No such session", `No session called “${session}” has been assessed in what is kept here.`, "/assessment/status", "All sessions");

function show(answer) {
  fresh(answer);
  fill(byId("tiles"),
    tile("Assessments", count(answer.total_assessments)),
    tile("Tokens", brief(answer.total_tokens), count(answer.total_tokens)),
    tile("Success", decimal(answer.success_ema, 3), "the moving average, as its newest message says it"),
    tile("Frustration", decimal(answer.frustration_ema, 3), "the moving average, as its newest message says it"));
  fill(byId("seen"), "First assessed ", time(answer.first_at), ", last ", time(answer.last_at));
  fill(byId("tiers"), tierBars(answer.tier_distribution, answer.total_assessments));
  const ends = ENDS.reduce((sum, [end]) => sum + answer.outcomes[end], 0);
  const lines = ENDS.map(([end, label, className]) => [label, answer.outcomes[end] / ends, count(answer.outcomes[end]), className]);
  fill(byId("ends"), bars(ends ? lines : [], "Not judged yet. That comes with a heavy assessment, at a session’s end."));
}

follow(DOMAIN, `/assess/sessions/${encodeURIComponent(session)}`, show);
