// How all assessments are spread over the tiers, the busiest sessions, and all of them in pages.

import { address, pageNumber, query } from "./address.js";
import { byId, element, fill } from "./dom.js";
import { follow, follower } from "./follow.js";
import { brief, count } from "./numbers.js";
import { board, silent, tile } from "./parts.js";
import { pager, table } from "./table.js";
import { DOMAIN, TIERS, sessionPage, tierBars } from "./tiers.js";
import { time } from "./times.js";

const PER_PAGE = 20;
const { values: asked, set } = address({ page: "1", session: "" });

const amount = (head, make) => ({ head, number: true, cell: (session) => count(make(session)) });
const drawHistory = table(byId("history"), [
  { head: "Session", cell: ({ session_id: id }) => element("a", { href: sessionPage(id) }, id) },
  amount("Assessments", (session) => session.total_assessments),
  ...TIERS.map(([tier, label]) => amount(label, (session) => session.tier_distribution[tier])),
  amount("Tokens", (session) => session.total_tokens),
  { head: "Last assessed", cell: (session) => time(session.last_at) },
], "No session here.");
const turnTo = pager(byId("pages"), (page) => { set({ page: String(page) }); history(); });
const followHistory = follower(DOMAIN, showHistory);
const history = () => followHistory(
  query("/assess/history", { session: asked.session, page: pageNumber(asked.page), per_page: PER_PAGE }));

function showStats(stats) {
  const total = stats.total_assessments;
  fill(byId("tiles"),
    tile("Assessments", brief(total), count(total)),
    ...TIERS.map(([tier, label]) => tile(label, brief(stats.tier_distribution[tier]), count(stats.tier_distribution[tier]))),
    tile("Busiest session", brief(stats.top_sessions[0]?.assessment_count), stats.top_sessions[0]?.session_id));
  byId("tiers-note").textContent = `${count(total)} in all`;
  fill(byId("tiers"), tierBars(stats.tier_distribution, total));
  const most = stats.top_sessions[0]?.assessment_count ?? 1;
  board(byId("top"), stats.top_sessions.map(({ session_id: name, assessment_count: assessments }, place) =>
    ({ rank: place + 1, name, href: sessionPage(name), share: assessments / most, text: count(assessments) })),
  "No session yet.");
}

function showHistory(answer) {
  drawHistory(answer.sessions);
  turnTo(answer.page, answer.per_page, answer.total);
  const said = asked.session ? `Only “${asked.session}”.` : "The last assessed first.";
  byId("history-note").textContent = said + silent(answer);
}

byId("session").value = asked.session;
byId("session-form").addEventListener("submit", (event) => {
  event.preventDefault();
  set({ session: byId("session").value.trim(), page: "1" });
  history();
});
follow(DOMAIN, "/assess/stats", showStats);
history();
