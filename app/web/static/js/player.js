// One player: key figures, the radar chart, body parts, days and weapons.

import { address, query } from "./address.js";
import { pair, radar } from "./charts.js";
import { whenMissing } from "./connection.js";
import { byId, element, entity, fill, portion } from "./dom.js";
import { follower } from "./follow.js";
import { count, decimal, percent } from "./numbers.js";
import { bars, freshness, orEmpty, segments, tile } from "./parts.js";
import { table, turn } from "./table.js";

const DOMAIN = ["players"];
const CLASSES = [["all", "All"], ["ranked", "Ranked"], ["normal", "Normal"]];
const PARTS = {
  HeadShot: "Head", TorsoShot: "Torso", PelvisShot: "Pelvis", ArmShot: "Arms", LegShot: "Legs", NonSpecific: "Unspecific", None: "No part",
};
const BANDS = [["close", "< 50 m"], ["mid", "50–200 m"], ["long", "≥ 200 m"]];
const TEXT = new Set(["name", "category"]);

const player = entity();
const { values: asked, set } = address({ match_type: "all" }, { match_type: CLASSES.map(([name]) => name) });
const sorting = { by: "damage", falling: true };
let weapons = [];

byId("name").textContent = player;
document.title = `${player} · Tidemark`;
whenMissing("No such player", `Nobody called “${player}” has hit, knocked down or killed anyone in what is kept here.`,
  "/players", "Search players");
const drawRadar = radar(byId("radar"));
const drawTrend = pair(byId("trend"), ["Damage", "damage, HP"], ["Kills", "kills"]);
const fresh = freshness(byId("freshness"));
const stats = follower(DOMAIN, showStats);
const trend = follower(DOMAIN, showTrend);

function start() {
  const view = (name) => query(`/api/v1/players/${encodeURIComponent(player)}/${name}`, asked);
  stats(view("enhanced-stats"));
  trend(view("trend"));
}

function showStats(stats) {
  fresh(stats);
  fill(byId("tiles"),
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

function showRadar({ radar: categories, weapon_category_stats: { damage, kills } }) {
  const shares = (of) => categories.map((category) => of[category] ?? 0);
  const said = (of) => categories.filter((category) => of[category]).map((category) => `${category} ${of[category]} %`).join(", ") || "none";
  orEmpty("radar", shares(damage).every((n) => !n) && shares(kills).every((n) => !n), "No hit and no kill in this class of matches.");
  drawRadar({ label: `Damage: ${said(damage)}. Kills: ${said(kills)}.`, categories, damage: shares(damage), kills: shares(kills) });
}

function showBody(parts) {
  const lines = Object.entries(parts).sort(([, a], [, b]) => b - a).map(([part, share]) => [PARTS[part] ?? part, share / 100, percent(share)]);
  fill(byId("body"), bars(lines, "No hit in this class of matches."));
}

function showDistances() {
  const sums = BANDS.map(([band]) => weapons.reduce((sum, weapon) => sum + weapon.kills_by_distance[band], 0));
  const whole = sums.reduce((sum, n) => sum + n, 0);
  const lines = BANDS.map(([, label], index) => [label, sums[index] / whole, count(sums[index])]);
  fill(byId("distances"), bars(whole ? lines : [], "No kill with a distance in this class of matches."));
}

function showTrend({ days }) {
  orEmpty("trend", !days.length, "No day in this class of matches.");
  const last = days.at(-1);
  drawTrend({
    label: last ? `${days.length} days; on ${last.day}: ${last.damage} damage, ${last.kills} kills` : "No days",
    names: days.map((day) => day.day), bars: days.map((day) => day.damage), line: days.map((day) => day.kills),
  });
}

const number = (value, digits = 0, unit = "") => (value === null ? "–" : `${decimal(value, digits)}${unit}`);
const most = () => Math.max(...weapons.map((weapon) => weapon.damage), 0) || 1;
const column = (head, sort, digits = 0, unit = "") =>
  ({ head, sort, number: true, cell: (weapon) => number(weapon[sort], digits, unit) });
const COLUMNS = [
  { head: "Weapon", sort: "name", cell: (weapon) => element("span", { title: weapon.weapon }, weapon.name) },
  { head: "Category", sort: "category", cell: (weapon) => element("span.chip", {}, weapon.category) },
  {
    head: "Damage", sort: "damage", number: true, className: "with-bar",
    cell: (weapon) => [decimal(weapon.damage, 1), portion(weapon.damage / most())],
  },
  column("Hits", "hits"), column("Kills", "kills"), column("Headshots", "headshots"), column("Knock-downs", "knock_downs"),
  column("Longest", "longest_kill_m", 1, " m"), column("Average", "average_kill_distance_m", 1, " m"),
  { head: "Close · mid · long", cell: bands },
];
const drawWeapons = table(byId("weapons"), COLUMNS, "No weapon in this class of matches.", sorting, (by) => {
  turn(sorting, by, !TEXT.has(by));
  showWeapons();
});

function showWeapons() {
  const { by, falling } = sorting;
  const order = (a, b) => (TEXT.has(by) ? a[by].localeCompare(b[by]) : (a[by] ?? -1) - (b[by] ?? -1)) || a.weapon.localeCompare(b.weapon);
  drawWeapons([...weapons].sort((a, b) => (falling ? order(b, a) : order(a, b))));
}

function bands({ kills_by_distance: { close, mid, long } }) {
  const all = close + mid + long;
  if (!all) return "–";
  const made = element("span.bands", { role: "img", "aria-label": `${close} close, ${mid} mid, ${long} long`, title: `< 50 m: ${close}, < 200 m: ${mid}, farther: ${long}` });
  made.append(...Object.entries({ close, mid, long }).filter(([, n]) => n).map(([name, n]) => portion(n / all, name)));
  return made;
}

segments(byId("match-type"), "Class of matches", CLASSES, asked.match_type, (value) => {
  set({ match_type: value });
  start();
});
start();
