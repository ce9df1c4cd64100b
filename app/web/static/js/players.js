// Search by the beginning of a name, and the leaderboard.

import { brief, byId, count, counted, decimal, element, percent, portion, segments, tile } from "./dom.js";
import { follow } from "./follow.js";

const TYPING_MS = 150; // a pause in typing
const LEADERBOARDS = [["kills", "Kills"], ["damage", "Damage"], ["headshot_rate", "Headshot rate"], ["longest_kill", "Longest kill"]];
const CLASSES = [["all", "All"], ["ranked", "Ranked"], ["normal", "Normal"]];
const SHOWN = {
  kills: count,
  damage: (value) => `${decimal(value, 0)} HP`,
  headshot_rate: (value) => percent(100 * value),
  longest_kill: (value) => `${decimal(value, 1)} m`,
};

const address = new URL(location);
const chosen = (name, values) => {
  const value = address.searchParams.get(name);
  return values.some(([known]) => known === value) ? value : values[0][0];
};
const asked = {
  search: address.searchParams.get("search") ?? "",
  by: chosen("by", LEADERBOARDS),
  match_type: chosen("match_type", CLASSES),
};
const stops = {};

const pageOf = (player) => `/players/${encodeURIComponent(player)}`;

function ask(name, url, onAnswer) {
  stops[name]?.();
  for (const [key, value] of Object.entries(asked)) {
    if (value) address.searchParams.set(key, value);
    else address.searchParams.delete(key);
  }
  history.replaceState(null, "", address);
  stops[name] = follow(url, onAnswer);
}

const search = () => ask("search", `/api/v1/players?${new URLSearchParams({ search: asked.search, limit: 24 })}`, showFound);
const lead = () =>
  ask("board", `/api/v1/players/leaderboard?${new URLSearchParams({ by: asked.by, match_type: asked.match_type })}`, showBoard);

function showFound({ results, more, missing_partitions: missing }) {
  const links = results.map((found) =>
    element("li", {}, element("a", { href: pageOf(found.player) },
      element("span", {}, found.player), element("span", {}, counted(found.kills, "kill")))));
  const nobody = asked.search ? `No player’s name begins with “${asked.search}”.` : "No player yet. They appear with their first event.";
  byId("found").replaceChildren(...(links.length ? links : [element("li.empty", {}, nobody)]));
  const first = more ? `The first ${results.length}; type more of the name to see others.` : `${results.length} found.`;
  const silent = missing.length ? ` Partitions ${missing.join(", ")} did not answer.` : "";
  byId("found-count").textContent = links.length ? first + silent : silent;
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
  const best = Math.max(...results.map((line) => line.value), 0) || 1;
  const lines = results.map((line) => element("li", {},
    element("span.rank", {}, line.rank),
    element("a", { href: pageOf(line.player), title: line.player }, line.player),
    element("span.track", { "aria-hidden": "true" }, portion(line.value / best)),
    element("b", {}, SHOWN[by](line.value))));
  byId("board").replaceChildren(...(lines.length ? lines : [element("li", {}, element("p.empty", {}, "Nobody is ranked here yet."))]));
  byId("board-note").textContent = by === "headshot_rate" ? "Players with 20 kills or more." : "";
}

let typing = 0;
byId("search").value = asked.search;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { asked.search = byId("search").value; search(); }, TYPING_MS);
});
byId("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("found").querySelector("a")?.focus();
});
segments(byId("by"), "Compare by", LEADERBOARDS, asked.by, (value) => { asked.by = value; lead(); });
segments(byId("match-type"), "Class of matches", CLASSES, asked.match_type, (value) => { asked.match_type = value; lead(); });
search();
lead();
follow("/api/v1/players/totals", showTotals);
