// All tutors over one window: tiers, who is at risk, and everybody's metrics.

import { address, pageNumber, query } from "./address.js";
import { byId, element, fill } from "./dom.js";
import { follower } from "./follow.js";
import { count, counted, percent } from "./numbers.js";
import { bars, nothing, segments, silent, tile } from "./parts.js";
import { pager, table } from "./table.js";
import { DOMAIN, FLAGGED, TIERS, WINDOWS, badge, classOf, flagged, nameOf, tutorPage } from "./windows.js";

const PER_PAGE = 20;
const RISK_PER_PAGE = 6;
const { values: asked, set } = address(
  { window: "30day", page: "1", risk: "1" }, { window: WINDOWS.map(([value]) => value) });

const drawList = table(byId("list"), [
  { head: "Tutor", cell: ({ tutor_id: tutor }) => element("a", { href: tutorPage(tutor) }, tutor) },
  { head: "Tier", cell: ({ tier }) => badge(tier) },
  { head: "Sessions", number: true, cell: ({ metrics }) => count(metrics.sessions) },
  ...FLAGGED.map(([name, head, shown]) => ({ head, number: true, cell: ({ metrics }) => flagged(metrics, name, shown) })),
], "No tutor yet. They appear with their first event.");
const turnTo = pager(byId("pages"), (page) => { set({ page: String(page) }); list(); });
const turnRiskTo = pager(byId("risk-pages"), (page) => { set({ risk: String(page) }); atRisk(); });
const followOverview = follower(DOMAIN, showOverview);
const followRisk = follower(DOMAIN, showRisk);
const followList = follower(DOMAIN, showList);

const overview = () => followOverview(query("/api/analytics/overview", { window: asked.window }));
const atRisk = () => followRisk(
  query("/api/analytics/at-risk-tutors", { window: asked.window, page: pageNumber(asked.risk), per_page: RISK_PER_PAGE }));
const list = () => followList(
  query("/api/analytics/tutor-metrics", { window: asked.window, page: pageNumber(asked.page), per_page: PER_PAGE }));

function start() {
  overview();
  atRisk();
  list();
}

function showOverview(answer) {
  const { total_tutors: total, tier_distribution: tiers, without_tier: without } = answer;
  const ranked = total - without;
  fill(byId("tiles"), tile("Tutors", count(total), without ? `${counted(without, "tutor")} without a session in this window` : null),
    ...TIERS.map((tier) => tile(tier, count(tiers[tier]))));
  byId("tiers-note").textContent = `${counted(ranked, "tutor")} with sessions, ${count(without)} without`;
  const text = (tutors) => `${count(tutors)} · ${percent((100 * tutors) / ranked)}`;
  const lines = TIERS.map((tier) => [tier, tiers[tier] / ranked, text(tiers[tier]), classOf(tier)]);
  fill(byId("tiers"), bars(ranked ? lines : [], "No tutor has had a session in this window."), waiting(answer));
}

function waiting({ pending_feedback: pending, unmatched_feedback: unmatched, dropped_feedback: dropped }) {
  const said = [[pending, "waiting for its session"], [unmatched, "whose session never came"], [dropped, "let go"]];
  const parts = said.filter(([number]) => number).map(([number, what]) => `${count(number)} ${what}`);
  return parts.length ? element("p.quiet", {}, `Feedback that counts nowhere: ${parts.join(", ")}.`) : null;
}

function showRisk(answer) {
  const lines = answer.at_risk_tutors.map(({ tutor_id: tutor, metrics }) => element("li", {},
    element("a", { href: tutorPage(tutor), title: tutor }, tutor),
    element("span.quiet", {}, metrics.red_flags.map(nameOf).join(" · "))));
  fill(byId("risk"), ...(lines.length ? lines : [element("li", {}, nothing("Nobody is at risk in this window."))]));
  turnRiskTo(pageNumber(asked.risk), RISK_PER_PAGE, answer.total);
  byId("risk-note").textContent = `Three red flags or more, the most first.${silent(answer)}`;
}

function showList(answer) {
  drawList(answer.tutors);
  turnTo(pageNumber(asked.page), PER_PAGE, answer.total);
  byId("list-note").textContent = `By name. ▲ is a green flag, ▼ a red one.${silent(answer)}`;
}

segments(byId("window"), "Window", WINDOWS, asked.window, (window) => {
  set({ window, page: "1", risk: "1" });
  start();
});
start();
