// Times in the reader's zone; UTC is in the title. Days and months are those of UTC, as the domains count them.

const SPANS = [[31_557_600, "y"], [86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
const PARTS = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const thisYear = new Intl.DateTimeFormat("en", PARTS);
const anyYear = new Intl.DateTimeFormat("en", { year: "numeric", ...PARTS });
const dayOf = new Intl.DateTimeFormat("en", { weekday: "short", month: "short", day: "numeric", timeZone: "UTC" });
const shortDayOf = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
const monthOf = new Intl.DateTimeFormat("en", { month: "short", year: "numeric", timeZone: "UTC" });

/** A span of seconds, in its greatest unit: "12 s", "3 min", "8 y". */
export function span(seconds) {
  const [size, unit] = SPANS.find(([least]) => seconds >= least) ?? SPANS.at(-1);
  return `${Math.floor(Math.max(0, seconds) / size)} ${unit}`;
}

/** How long ago. */
export const ago = (instant) => span((Date.now() - new Date(instant).getTime()) / 1000);

export const utc = (instant) => `${new Date(instant).toISOString().replace("T", " ").slice(0, 19)} UTC`;

function local(at) {
  return (at.getFullYear() === new Date().getFullYear() ? thisYear : anyYear).format(at);
}

/** An instant as an element. */
export function time(instant) {
  if (!instant) return "–";
  const made = document.createElement("time");
  made.dateTime = instant;
  made.title = utc(instant);
  made.textContent = local(new Date(instant));
  return made;
}

/** "2025-06-15" is "Sun, Jun 15". */
export const day = (date) => dayOf.format(new Date(date));

/** "2025-06-15" is "Jun 15". */
export const shortDay = (date) => shortDayOf.format(new Date(date));

/** "2025-06" is "Jun 2025". */
export const month = (date) => monthOf.format(new Date(date));

const iso = (at) => at.toISOString().slice(0, 10);

/** The last days up to now, the oldest first. */
export function lastDays(number) {
  const now = Date.now();
  return Array.from({ length: number }, (_, place) => iso(new Date(now - (number - 1 - place) * 86_400_000)));
}

/** The last months up to now, the oldest first. */
export function lastMonths(number) {
  const now = new Date();
  const first = (place) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - (number - 1 - place), 1));
  return Array.from({ length: number }, (_, place) => iso(first(place)).slice(0, 7));
}
