/** The colours of the page, for what is drawn on a canvas. */

export const KINDS = 8;

/** The value of a colour variable, such as `--ink`. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** [r, g, b] of a colour variable that is given as #rrggbb. */
export function rgb(name) {
  const digits = Number.parseInt(colour(name).slice(1), 16);
  return [digits >> 16, (digits >> 8) & 255, digits & 255];
}
