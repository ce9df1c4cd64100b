// Numbers as people read them. What is not known is a dash.

const NOTHING = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const known = (value) => value !== null && value !== undefined;

export const count = (value) => (known(value) ? whole.format(value) : NOTHING);

/** counted(1, "kill") is "1 kill", counted(2, "kill") "2 kills". */
export const counted = (value, one) => `${count(value)} ${value === 1 ? one : `${one}s`}`;

/** Exactly while it is short, else 1.2M. */
export const brief = (value) => (!known(value) ? NOTHING : value < 100_000 ? whole.format(value) : compact.format(value));

export const decimal = (value, digits = 1) =>
  known(value) ? value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) : NOTHING;

/** 0 %, 7.16 %, 82.5 %. */
export const percent = (value) => (known(value) ? `${value === 0 ? 0 : decimal(value, value >= 10 ? 1 : 2)} %` : NOTHING);

/** Something per second: two digits where it is slow, 1.2M where it is fast. */
export const rate = (value) => (known(value) && value < 100 ? decimal(value, 2) : brief(value));
