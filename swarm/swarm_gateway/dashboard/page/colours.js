/** How the points of the map are coloured: which place in the palette each has, and what the legend says. */

import { counted } from "./format.js";
import { CONFIRMED } from "./picture.js";
import { KINDS, rgb } from "./theme.js";

/** [name, rows it holds, place in the palette] for each colour, and the place of each row. */
export function groups(picture, by) {
  if (by === "agent") return named(picture.agent, picture.agents, (name) => name || "nobody");
  if (by === "type") return named(picture.type, picture.types, (name) => name);
  const of =
    by === "quality"
      ? (row) => (picture.quality[row] >= 2 / 3 ? 0 : picture.quality[row] > 1 / 3 ? 1 : 2)
      : (row) => (picture.flags[row] & CONFIRMED ? 0 : 1);
  const names = by === "quality" ? ["works", "mixed", "fails"] : ["confirmed", "one agent's word"];
  const shades = new Uint8Array(picture.count),
    sizes = names.map(() => 0);
  for (let row = 0; row < picture.count; row++) sizes[(shades[row] = of(row))]++;
  return { shades, entries: names.map((name, place) => [name, sizes[place], place]) };
}

/** The names with most patterns have colours of their own; the others share one. */
export function named(codes, names, shown) {
  const sizes = new Float64Array(names.length);
  for (const code of codes) sizes[code]++;
  const order = [...sizes.keys()].sort((a, b) => sizes[b] - sizes[a] || a - b);
  const top = order.slice(0, order.length === KINDS + 1 ? KINDS + 1 : KINDS);
  const places = new Uint8Array(names.length).fill(KINDS);
  // By name, so that a colour stays with its name while the sizes change.
  top
    .slice(0, KINDS)
    .sort((a, b) => (names[a] < names[b] ? -1 : 1))
    .forEach((code, place) => {
      places[code] = place;
    });
  const entries = top
    .slice(0, KINDS)
    .map((code) => [shown(names[code]), sizes[code], places[code]])
    .sort((a, b) => a[2] - b[2]);
  const rest = order.slice(KINDS);
  if (rest.length)
    entries.push([
      rest.length === 1 ? shown(names[rest[0]]) : counted(rest.length, "other"),
      rest.reduce((sum, code) => sum + sizes[code], 0),
      KINDS,
    ]);
  return { shades: Uint8Array.from(codes, (code) => places[code]), entries };
}

/** [r, g, b] for each place. */
export function palette(by) {
  const kinds = [...Array(KINDS).keys()].map((place) => rgb(`--c${place}`));
  if (by === "quality") return [rgb("--c0"), rgb("--c6"), rgb("--c1")];
  return [...kinds, rgb("--other")];
}

/** Classes of the swatches, in the order of the palette. */
export const swatches = (by) =>
  by === "quality" ? ["k0", "k6", "k1"] : [...Array(KINDS).keys()].map((place) => `k${place}`);
