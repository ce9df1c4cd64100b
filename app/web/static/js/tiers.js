// The tiers of assessments, and how sessions are shown.

import { count, percent } from "./numbers.js";
import { bars } from "./parts.js";

export const DOMAIN = ["assessments"];
export const TIERS = [["lightweight", "Lightweight"], ["checkpoint", "Checkpoint"], ["medium", "Medium"], ["heavy", "Heavy"]];

export const sessionPage = (session) => `/assessment/sessions/${encodeURIComponent(session)}`;

/** Assessments by tier as bars; what is of no known tier has one of its own. */
export function tierBars(distribution, total) {
  const lines = TIERS.map(([tier, label]) => [label, distribution[tier], `tier-${tier}`]);
  const unknown = total - lines.reduce((sum, [, assessments]) => sum + assessments, 0);
  if (unknown) lines.push(["Unknown", unknown, "duplicate"]);
  const text = (assessments) => `${count(assessments)} · ${percent((100 * assessments) / total)}`;
  return bars(total ? lines.map(([label, n, className]) => [label, n / total, text(n), className]) : [],
    "No assessment yet. They appear with the first event.");
}
