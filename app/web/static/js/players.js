// Search by the beginning of a name, and the leaderboard.

import { address, query } from "./address.js";
import { byId, element, fill } from "./dom.js";
import { follow, follower } from "./follow.js";
import { brief, count, counted, decimal, percent } from "./numbers.js";
import { board, segments, silent, tile } from "./parts.js";

const TYPING_MS = 150; // a pause in typing
const DOMAIN = ["players"];
const LEADERBOARDS = [["kills", "Kills"], ["damage", "Damage"], ["headshot_rate", "Headshot rate"], ["longest_kill", "Longest kill"]];
const CLASSES = [["all", "All"], ["ranked", "Ranked"], ["normal", "Normal"]];
const SHOWN = {
  kills: count,
  damage: (value) => `${decimal(value, 0)} HP`,
  headshot_rate: (value) => percent(100 * value),
  longest_kill: (value) => `${decimal(value, 1)} m`,
};
const values = (choices) => choices.map(([value]) => value);
const { values: asked, set } = address(
  { search: "", by: "kills", match_type: "all" }, { by: values(LEADERBOARDS), match_type: values(CLASSES) });

const pageOf = (player) => `/players/${encodeURIComponent(player)}`;
const found = follower(DOMAIN, showFound);
const ranked = follower(DOMAIN, showBoard);
const search = () => found(query("/api/v1/players", { search: asked.search, limit: 24 }));
const lead = () => ranked(query("/api/v1/players/leaderboard", { by: asked.by, match_type: asked.match_type }));

function showFound(answer) {
  const { results, more } = answer;
  const links = results.map(({ player, kills }) =>
    element("li", {}, element("a", { href: pageOf(player) },
      element("span", {}, player), element("span", {}, counted(kills, "kill")))));
  const nobody = asked.search ? `No player’s name begins with “${asked.search}”.` : "No player yet. They appear with their first event.";
  fill(byId("found"), ...(links.length ? links : [element("li.empty", {}, nobody)]));
  const first = more ? `The first ${results.length}; type more of the name to see others.` : `${results.length} found.`;
  byId("found-count").textContent = (links.length ? first : "") + silent(answer);
}

function showTotals(totals) {
  const damage = totals.damage.toLocaleString("en", { maximumFractionDigits: 4 });
  byId("totals").replaceChildren(
    tile("Players", count(totals.players)),
    tile("Hits", count(totals.hits)),
    tile("Damage, HP", totals.damage < 100_000 ? damage : brief(totals.damage), damage),
    tile("Kills", count(totals.kills)),
    tile("Knock-downs", count(totals.knock_downs)),
    tile("Groups", count(totals.groups), "distinct player, weapon and body part"));
}

function showBoard({ results, by }) {
  const best = Math.max(...results.map(({ value }) => value), 0) || 1;
  board(byId("board"), results.map(({ rank, player, value }) =>
    ({ rank, name: player, href: pageOf(player), share: value / best, text: SHOWN[by](value) })), "Nobody is ranked here yet.");
  byId("board-note").textContent = by === "headshot_rate" ? "Players with 20 kills or more." : "";
}

let typing = 0;
byId("search").value = asked.search;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { set({ search: byId("search").value }); search(); }, TYPING_MS);
});
byId("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("found").querySelector("a")?.focus();
});
segments(byId("by"), "Compare by", LEADERBOARDS, asked.by, (value) => { set({ by: value }); lead(); });
segments(byId("match-type"), "Class of matches", CLASSES, asked.match_type, (value) => { set({ match_type: value }); lead(); });
search();
lead();
follow(DOMAIN, "/api/v1/players/totals", showTotals);
