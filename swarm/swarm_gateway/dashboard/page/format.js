/** Figures and times as people read them, the same in every view. */

const COUNT = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const count = (n) => COUNT.format(Math.round(n));

/** "1 outcome", "2 outcomes". */
export const counted = (n, one, many = `${one}s`) => `${count(n)} ${Math.round(n) === 1 ? one : many}`;

export const fixed = (value, digits = 2) => (value === null || value === undefined ? "" : value.toFixed(digits));

/** US dollars, small amounts with the digits that say something. */
export const usd = (value) =>
  value === null || value === undefined ? "?" : `$${value === 0 ? "0" : Number(value.toPrecision(3))}`;

export const ms = (value) =>
  value === null || value === undefined ? "?" : `${value < 10 ? value.toFixed(1) : count(value)} ms`;

/** A time span in its largest unit. */
export function duration(seconds) {
  const s = Math.max(0, seconds);
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

/** When, by the calendar; times are seconds since the epoch. */
export const when = (at) => TIME.format(new Date(at * 1000));

/** How long ago, seen from a time of the gateway. */
export const ago = (at, now) => `${duration(now - at)} ago`;

/** One line of a text, cut. */
export function short(text, most) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}
