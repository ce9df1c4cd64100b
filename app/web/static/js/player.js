// One player: key figures, the radar chart, body parts, days and weapons.

import { radar, trend } from "./charts.js";
import { ago, byId, count, decimal, element, percent, portion, segments, tile } from "./dom.js";
import { follow } from "./follow.js";

const CLASSES = [["all", "All"], ["ranked", "Ranked"], ["normal", "Normal"]];
const PARTS = {
  HeadShot: "Head", TorsoShot: "Torso", PelvisShot: "Pelvis", ArmShot: "Arms", LegShot: "Legs", NonSpecific: "Unspecific", None: "No part",
};
const BANDS = [["close", "< 50 m"], ["mid", "50–200 m"], ["long", "≥ 200 m"]];
const COLUMNS = [
  ["name", "Weapon"], ["category", "Category"], ["damage", "Damage"], ["hits", "Hits"], ["kills", "Kills"], ["headshots", "Headshots"],
  ["knock_downs", "Knock-downs"], ["longest_kill_m", "Longest"], ["average_kill_distance_m", "Average"], [null, "Close · mid · long"],
];
const TEXT = new Set(["name", "category"]);

const player = decodeURIComponent(location.pathname.slice("/players/".length));
const address = new URL(location);
const known = CLASSES.some(([name]) => name === address.searchParams.get("match_type"));
let matchType = known ? address.searchParams.get("match_type") : "all";
let sorting = { by: "damage", falling: true };
let latest = null;
let weapons = [];
let stops = [];

byId("name").textContent = player;
document.title = `${player} · Tidemark`;
const drawRadar = radar(byId("radar"));
const drawTrend = trend(byId("trend"));

function start() {
  stops.forEach((stop) => stop());
  const view = (name) => `/api/v1/players/${encodeURIComponent(player)}/${name}?${new URLSearchParams({ match_type: matchType })}`;
  stops = [follow(view("enhanced-stats"), showStats), follow(view("trend"), showTrend)];
}

function showStats(stats) {
  latest = stats;
  showAge();
  byId("tiles").replaceChildren(
    tile("Kills", count(stats.kills)),
    tile("Damage, HP", decimal(stats.damage, stats.damage < 1000 ? 1 : 0)),
    tile("Headshot rate", stats.kills ? percent((100 * stats.headshots) / stats.kills) : "–"),
    tile("Hits", count(stats.hits)),
    tile("Knock-downs", count(stats.knock_downs)),
    tile("Longest kill, m", stats.longest_kill_m ? decimal(stats.longest_kill_m, 1) : "–"));
  showRadar(stats);
  showBody(stats.damage_by_body_part);
  weapons = stats.weapon_breakdown;
  showDistances();
  showWeapons();
}

function showAge() {
  if (!latest) return;
  byId("freshness").textContent = `Last event ${ago(latest.as_of)} ago · partition ${latest.partition}, offset ${count(latest.offset)}`;
}

function showRadar({ radar: categories, weapon_category_stats: { damage, kills } }) {
  const shares = (of) => categories.map((category) => of[category] ?? 0);
  const said = (of) => categories.filter((category) => of[category]).map((category) => `${category} ${of[category]} %`).join(", ") || "none";
  empty("radar", shares(damage).every((n) => !n) && shares(kills).every((n) => !n), "No hit and no kill in this class of matches.");
  drawRadar({ label: `Damage: ${said(damage)}. Kills: ${said(kills)}.`, categories, damage: shares(damage), kills: shares(kills) });
}

function showBody(parts) {
  const lines = Object.entries(parts).sort(([, a], [, b]) => b - a).map(([part, share]) => [PARTS[part] ?? part, share, percent(share)]);
  byId("body").replaceChildren(bars(lines, "No hit in this class of matches."));
}

function showDistances() {
  const sums = BANDS.map(([band]) => weapons.reduce((sum, weapon) => sum + weapon.kills_by_distance[band], 0));
  const whole = sums.reduce((sum, n) => sum + n, 0);
  const lines = BANDS.map(([, label], index) => [label, (100 * sums[index]) / whole, count(sums[index])]);
  byId("distances").replaceChildren(bars(whole ? lines : [], "No kill with a distance in this class of matches."));
}

function bars(lines, nothing) {
  if (!lines.length) return element("p.empty", {}, nothing);
  return element("ul.bars", {}, ...lines.map(([label, share, text]) => element("li", {},
    element("span.label", { title: label }, label),
    element("span.track", { "aria-hidden": "true" }, portion(share / 100)),
    element("b", {}, text))));
}

function showTrend({ days }) {
  empty("trend", !days.length, "No day in this class of matches.");
  const last = days.at(-1);
  drawTrend({
    label: last ? `${days.length} days; on ${last.day}: ${last.damage} damage, ${last.kills} kills` : "No days",
    days: days.map((day) => day.day), damage: days.map((day) => day.damage), kills: days.map((day) => day.kills),
  });
}

function empty(name, isEmpty, text) {
  byId(`${name}-empty`).hidden = !isEmpty;
  byId(`${name}-empty`).textContent = text;
  byId(name).style.visibility = isEmpty ? "hidden" : "visible";
}

function showWeapons() {
  const { by, falling } = sorting;
  const order = (a, b) => (TEXT.has(by) ? a[by].localeCompare(b[by]) : (a[by] ?? -1) - (b[by] ?? -1)) || a.weapon.localeCompare(b.weapon);
  const sorted = [...weapons].sort((a, b) => (falling ? order(b, a) : order(a, b)));
  const most = Math.max(...weapons.map((weapon) => weapon.damage), 0) || 1;
  byId("weapon-columns").replaceChildren(...COLUMNS.map(columnHead));
  byId("weapons").replaceChildren(...(sorted.length
    ? sorted.map((weapon) => weaponRow(weapon, most))
    : [element("tr", {}, element("td", { colspan: COLUMNS.length }, element("p.empty", {}, "No weapon in this class of matches.")))]));
}

function columnHead([key, label]) {
  const kind = key && !TEXT.has(key) ? "th.number" : "th";
  if (!key) return element(kind, { scope: "col" }, label);
  const button = element("button", { type: "button" }, label);
  button.addEventListener("click", () => {
    sorting = { by: key, falling: sorting.by === key ? !sorting.falling : !TEXT.has(key) };
    showWeapons();
    byId("weapon-columns").querySelector("[aria-sort] button").focus();
  });
  const sort = sorting.by === key ? (sorting.falling ? "descending" : "ascending") : null;
  return element(kind, { scope: "col", "aria-sort": sort }, button);
}

function weaponRow(weapon, most) {
  const number = (value, digits = 0, unit = "") => element("td.number", {}, value === null ? "–" : `${decimal(value, digits)}${unit}`);
  const { close, mid, long } = weapon.kills_by_distance;
  const banded = close + mid + long;
  const bands = element("span.bands", { role: "img", "aria-label": `${close} close, ${mid} mid, ${long} long`, title: `< 50 m: ${close}, < 200 m: ${mid}, farther: ${long}` });
  if (banded) bands.append(...Object.entries({ close, mid, long }).filter(([, n]) => n).map(([name, n]) => portion(n / banded, name)));
  return element("tr", {},
    element("th", { scope: "row", title: weapon.weapon }, weapon.name),
    element("td", {}, element("span.chip", {}, weapon.category)),
    element("td.number.with-bar", {}, decimal(weapon.damage, 1), portion(weapon.damage / most)),
    number(weapon.hits), number(weapon.kills), number(weapon.headshots), number(weapon.knock_downs),
    number(weapon.longest_kill_m, 1, " m"), number(weapon.average_kill_distance_m, 1, " m"),
    element("td", {}, banded ? bands : "–"));
}

document.addEventListener("connection", ({ detail: { state } }) => {
  byId("missing")?.remove();
  if (state !== "missing") return;
  byId("main").append(element("section.card.state", { id: "missing" },
    element("h2", {}, "No such player"),
    element("p", {}, `Nobody called “${player}” has hit, knocked down or killed anyone in what is kept here.`),
    element("a.button", { href: "/players" }, "Search players")));
});
segments(byId("match-type"), "Class of matches", CLASSES, matchType, (value) => {
  matchType = value;
  address.searchParams.set("match_type", value);
  history.replaceState(null, "", address);
  start();
});
setInterval(showAge, 1_000);
start();
