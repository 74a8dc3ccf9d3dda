/** The map: every pattern of the bank in two dimensions; what one is, who learned it, and what can be done about it. */

import { bytes, call, segment } from "./api.js";
import { button, confirmed, el, empty, fill, pairs, tag, toast } from "./dom.js";
import { ago, count, counted, fixed, ms, short, usd, when } from "./format.js";
import { CONFIRMED, read } from "./picture.js";
import { HIDDEN, Plane } from "./plane.js";
import { KINDS, rgb } from "./theme.js";

const HOVER_MS = 60;
const MAX_KNOWN = 500;
/** So many patterns with most outcomes have a name on the map, and so many of them are listed. */
const BEST = 14;
const LISTED = 8;
/** A large map is fetched again after this many times what fetching it took. */
const PATIENCE = 20;

const host = document.getElementById("plane");
const detail = document.getElementById("detail");
const tip = document.getElementById("tip");
const plane = new Plane(host, document.getElementById("points"), document.getElementById("marks"), { hover, choose });
const known = new Map();
let picture = null;
let by = "agent";
let alone = null;
let drawn = "";
let nextAt = 0;
let hovering = 0;
let now = 0;
let hits = [];
/** Where the map is what one came for, it is fetched at once; should that fail, the first look tries again. */
const early = ["", "#map"].includes(location.hash) ? fetched().catch(() => null) : null;

/** Called when the tab is opened. */
export async function show(live) {
  await follow(live);
  plane.resize();
}

/** Called at each look: draws the map anew when the bank has another version. */
export async function follow(live) {
  now = live.now_s;
  await early;
  if (live.map_version !== drawn && performance.now() >= nextAt) await fetched();
  note(live);
}

async function fetched() {
  const began = performance.now();
  host.classList.toggle("busy", !picture);
  try {
    picture = read(await bytes("dashboard/map"));
  } finally {
    host.classList.remove("busy");
  }
  // Where very many agents have a part, no few of them say much by their colours.
  if (!drawn && named(picture.agent, picture.agents, String).entries.at(-1)?.[1] > picture.count / 2) by = "quality";
  drawn = picture.version;
  known.clear();
  plane.show(picture);
  paint();
  nextAt = performance.now() + PATIENCE * (performance.now() - began);
  await overview();
}

function note({ status }) {
  const rest = status.patterns - (picture?.count ?? 0);
  const some = rest > 0 ? `, ${count(rest)} not drawn` : "";
  document.getElementById("caption").textContent = picture?.count
    ? `${counted(picture.count, "pattern")}${some}. Close together means alike: ${Math.round(100 * picture.kept)} % of a pattern's nearest are nearest here. ` +
      "Size: outcomes. Rings: what failed. Faint: unconfirmed."
    : status.patterns ? "The gateway reads the bank." : "No patterns yet: they come with the first merge of what agents report.";
}

/* Colours */

/** [name, rows it holds, place in the palette] for each colour, and the place of each row. */
function groups() {
  if (by === "agent") return named(picture.agent, picture.agents, (name) => name || "nobody");
  if (by === "type") return named(picture.type, picture.types, (name) => name);
  const of = by === "quality"
    ? (row) => picture.quality[row] >= 2 / 3 ? 0 : picture.quality[row] > 1 / 3 ? 1 : 2
    : (row) => picture.flags[row] & CONFIRMED ? 0 : 1;
  const names = by === "quality" ? ["works", "mixed", "fails"] : ["confirmed", "one agent's word"];
  const shades = new Uint8Array(picture.count), sizes = names.map(() => 0);
  for (let row = 0; row < picture.count; row++) sizes[shades[row] = of(row)]++;
  return { shades, entries: names.map((name, place) => [name, sizes[place], place]) };
}

/** The names with most patterns have colours of their own; the others share one. */
function named(codes, names, shown) {
  const sizes = new Float64Array(names.length);
  for (const code of codes) sizes[code]++;
  const order = [...sizes.keys()].sort((a, b) => sizes[b] - sizes[a] || a - b);
  const top = order.slice(0, order.length === KINDS + 1 ? KINDS + 1 : KINDS);
  const places = new Uint8Array(names.length).fill(KINDS);
  // By name, so that a colour stays with its name while the sizes change.
  top.slice(0, KINDS).sort((a, b) => names[a] < names[b] ? -1 : 1).forEach((code, place) => { places[code] = place; });
  const entries = top.slice(0, KINDS).map((code) => [shown(names[code]), sizes[code], places[code]]).sort((a, b) => a[2] - b[2]);
  const rest = order.slice(KINDS);
  if (rest.length) entries.push([rest.length === 1 ? shown(names[rest[0]]) : counted(rest.length, "other"), rest.reduce((sum, code) => sum + sizes[code], 0), KINDS]);
  return { shades: Uint8Array.from(codes, (code) => places[code]), entries };
}

function colours() {
  const kinds = [...Array(KINDS).keys()].map((place) => rgb(`--c${place}`));
  if (by === "quality") return [rgb("--c0"), rgb("--c6"), rgb("--c1")];
  return [...kinds, rgb("--other")];
}

/** Classes of the swatches, in the order of the palette. */
const swatches = () => by === "quality" ? ["k0", "k6", "k1"] : [...Array(KINDS).keys()].map((place) => `k${place}`);

function paint() {
  if (!picture) return;
  const { shades, entries } = groups();
  if (!entries.some(([, , place]) => place === alone)) alone = null;
  if (alone !== null) for (let row = 0; row < shades.length; row++) if (shades[row] !== alone) shades[row] = HIDDEN;
  plane.paint(shades, colours());
  const classes = swatches();
  fill(document.getElementById("legend"), entries.map(([name, size, place]) => el("li", {}, el("button", {
    type: "button", "aria-pressed": String(alone === place), "data-key": name,
    onclick: () => { alone = alone === place ? null : place; paint(); },
  }, el("span", { className: `swatch ${classes[place] ?? ""}` }), short(name, 40), el("span", { className: "count" }, count(size))))));
  for (const one of document.querySelectorAll("[data-by]")) one.setAttribute("aria-checked", String(one.dataset.by === by));
}

/* Pointing and choosing */

async function pattern(id) {
  if (!known.has(id)) {
    if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value);
    known.set(id, await call(`patterns/${segment(id)}`));
  }
  return known.get(id);
}

function hover(row) {
  clearTimeout(hovering);
  tip.hidden = true;
  if (row < 0) return;
  hovering = setTimeout(async () => {
    const found = await pattern(picture.idOf(row)).catch(() => null);
    if (!found || plane.hovered !== row) return;
    const [x, y] = plane.at(row);
    fill(tip, el("strong", {}, short(title(found), 90)), el("br"), summary(found));
    tip.hidden = false;
    const left = Math.min(Math.max(8, x + 16), plane.width - tip.offsetWidth - 8);
    tip.style.left = `${left}px`;
    tip.style.top = `${y + tip.offsetHeight + 24 < plane.height ? y + 16 : y - tip.offsetHeight - 16}px`;
  }, HOVER_MS);
}

async function choose(row) {
  if (row < 0) {
    hits = [];
    plane.mark([], -1);
    return overview();
  }
  plane.mark(plane.marked, row);
  await open(picture.idOf(row));
}

async function open(id) {
  try {
    detail.replaceChildren(...sheet(await pattern(id)));
    if (matchMedia("(max-width: 1080px)").matches) detail.scrollIntoView({ block: "start" });
  } catch (error) {
    detail.replaceChildren(empty(error.message));
  }
}

/** Open a pattern from a list, and show where it is. */
async function find(id) {
  const row = picture ? picture.rowOf(id) : -1;
  if (row >= 0) {
    plane.look(row);
    plane.mark(plane.marked, row);
  }
  await open(id);
}

/* The sheet of one pattern */

const title = (found) => found.label || found.examples[0]?.text || found.response || found.action;

const summary = (found) => `${counted(found.outcomes, "outcome")}, ${found.positive ? "" : "failed: "}quality ${fixed(found.mean_quality)} · ` +
  (found.sources.length === 1 ? found.sources[0].agent : counted(found.sources.length, "agent"));

function sheet(found) {
  return [
    el("div", { className: "head" }, el("h2", {}, short(title(found), 160)), button("Close", () => choose(-1), "quiet")),
    el("p", {}, tag(found.task_type), " ", found.positive ? tag("to repeat", "good") : tag("to avoid", "bad"), " ",
      found.confirmed ? tag("confirmed", "good") : tag("one agent's word", "warn"), " ", found.pinned_as ? tag("pinned") : null),
    found.response ? el("p", { className: "response" }, found.response) : null,
    pairs(
      ["quality", `${fixed(found.expected_quality)} ± ${fixed(found.quality_error)} (mean ${fixed(found.mean_quality)})`],
      ["outcomes", count(found.outcomes)],
      ["last seen", found.last_s ? `${when(found.last_s)}, ${ago(found.last_s, now)}` : "unknown"],
      found.pinned_as && found.pinned_as !== found.pattern_id ? ["pinned as", el("span", { className: "mono" }, found.pinned_as)] : null,
      ["pattern", el("span", { className: "mono" }, found.pattern_id)],
    ),
    el("div", { className: "buttons" },
      found.pinned_as ? button("Unpin", () => pin(found, "DELETE", "It ages again.")) : button("Pin", () => pin(found, "POST", "Pinned: it stays.")),
      button("Forget…", () => forget(found), "danger")),
    el("h3", {}, "Who learned it"),
    el("ul", { className: "list" }, found.sources.map((source) => origin(found, source))),
    found.routes.length ? el("h3", {}, "Routes") : null,
    el("ul", { className: "list" }, found.routes.map((one) => el("li", { className: "row" }, el("span", {}, one.route), el("span", { className: "note" },
      `${counted(one.outcomes, "outcome")}, quality ${fixed(one.mean_quality)}, ${usd(one.mean_cost)}, ${ms(one.mean_latency_ms)}`)))),
    el("h3", {}, "From which runs"),
    el("ul", { className: "list" }, found.examples.map((one) => el("li", {}, one.text || "no text was kept",
      el("span", { className: "note" }, `${one.agent}, quality ${fixed(one.quality)}, ${ago(one.at_s, now)}`),
      el("span", { className: "mono" }, one.trajectory_id)))),
  ].filter(Boolean);
}

function origin(found, source) {
  const verdict = found.verdicts[source.agent];
  const isOut = verdict === "quarantined";
  return el("li", { className: "row" },
    el("span", {}, el("a", { href: `#agents/${encodeURIComponent(source.agent)}` }, source.agent), " ",
      el("span", { className: "note" }, `${counted(source.outcomes, "outcome")}, quality ${fixed(source.mean_quality)}`)),
    el("span", {}, tag(verdict ?? "not here any more", isOut ? "bad" : ""), " ",
      verdict && !isOut ? button("Quarantine…", () => quarantine(source.agent, found), "quiet") : null));
}

async function pin(found, method, said) {
  await call(`patterns/${segment(found.pattern_id)}/pin`, { method });
  known.delete(found.pattern_id);
  toast(said);
  await open(found.pattern_id);
}

async function forget(found) {
  const text = `“${short(title(found), 80)}” is erased from the bank and from every agent that holds it, with its ` +
    `${counted(found.outcomes, "outcome")}. It cannot come back, and this cannot be undone. Backups keep what they hold.`;
  if (!await confirmed("Forget this pattern?", text, "Forget for good", true)) return;
  await call(`patterns/${segment(found.pattern_id)}`, { method: "DELETE" });
  known.delete(found.pattern_id);
  nextAt = 0;
  toast("Forgotten.");
  choose(-1);
}

/** Ask, and put an agent in quarantine; true if that was done. */
export async function quarantine(agent, found = null) {
  const text = `What ${agent} has learned and goes on to learn is kept, and does not count for the others any more: ` +
    "with the next merge its part leaves the bank. Nothing is erased; it can be released at any time.";
  if (!await confirmed(`Put ${agent} in quarantine?`, text, "Quarantine", true)) return false;
  await call(`agents/${segment(agent)}/quarantine`, { method: "POST" });
  toast(`${agent} is in quarantine.`);
  known.clear();
  if (found) await open(found.pattern_id);
  return true;
}

/* Lists: what a question finds, and what is best known */

async function overview() {
  if (!picture?.count) return detail.replaceChildren();
  const shown = picture;
  const rows = [...Array(Math.min(BEST, picture.count)).keys()].map((place) => picture.count - 1 - place);
  const best = await Promise.all(rows.map((row) => pattern(picture.idOf(row)).catch(() => null)));
  if (shown !== picture) return;
  plane.name(rows.flatMap((row, place) => best[place] ? [[row, short(title(best[place]).split(" · ")[0], 22)]] : []));
  if (plane.chosen >= 0 || hits.length) return;
  detail.replaceChildren(el("h2", {}, "Most evidence"), listed(best.filter(Boolean).slice(0, LISTED)));
}

function listed(found) {
  return el("ol", { className: "list" }, found.map((one) => el("li", {},
    el("button", { type: "button", className: "link", onclick: () => find(one.pattern_id) }, short(title(one), 110)),
    el("span", { className: "note" }, "positive" in one ? summary(one)
      : `votes ${Math.round(100 * one.share)} %, quality ${fixed(one.expected_quality)} ± ${fixed(one.quality_error)} · ${short(one.response, 60)}`))));
}

async function ask(event) {
  event.preventDefault();
  const text = document.getElementById("question").value.trim();
  if (!text) return choose(-1);
  const began = performance.now();
  try {
    hits = (await call("query", { method: "POST", body: { text, k: 12 } })).patterns;
  } catch (error) {
    return toast(error.message, true);
  }
  const rows = hits.map((hit) => picture.rowOf(hit.pattern_id)).filter((row) => row >= 0);
  plane.mark(rows, -1);
  detail.replaceChildren(
    el("div", { className: "head" }, el("h2", {}, `For “${short(text, 60)}”`), button("Close", () => choose(-1), "quiet")),
    el("p", { className: "note" }, `${counted(hits.length, "pattern")}, best first, in ${ms(performance.now() - began)}; ringed on the map.`),
    hits.length ? listed(hits) : empty("Nothing is known for a task like this."));
}

document.getElementById("search").addEventListener("submit", ask);
for (const one of document.querySelectorAll("[data-by]")) {
  one.addEventListener("click", () => { [by, alone] = [one.dataset.by, null]; paint(); });
}
for (const one of document.querySelectorAll("[data-zoom]")) {
  one.addEventListener("click", () => one.dataset.zoom === "all" ? plane.all() : plane.zoom(one.dataset.zoom === "in" ? 1.6 : 1 / 1.6));
}
document.addEventListener("theme", paint);
