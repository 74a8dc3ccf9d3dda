/** The map: every pattern of the bank in two dimensions; what one is, who learned it, and what can be done about it. */

import { forget, pin, quarantine } from "./actions.js";
import { bytes, call, segment } from "./api.js";
import { groups, named, palette, swatches } from "./colours.js";
import { button, el, empty, fill, toast } from "./dom.js";
import { count, counted, fixed, ms, short } from "./format.js";
import { read } from "./picture.js";
import { HIDDEN, Plane } from "./plane.js";
import { sheet, summary, title } from "./sheet.js";

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
    ? `${counted(picture.count, "pattern")}${some}. Close together means alike: ` +
      `${Math.round(100 * picture.kept)} % of a pattern's nearest are nearest here. ` +
      "Size: outcomes. Rings: what failed. Faint: unconfirmed."
    : status.patterns
      ? "The gateway reads the bank."
      : "No patterns yet: they come with the first merge of what agents report.";
}

/* Colours */

function paint() {
  if (!picture) return;
  const { shades, entries } = groups(picture, by);
  if (!entries.some(([, , place]) => place === alone)) alone = null;
  if (alone !== null) for (let row = 0; row < shades.length; row++) if (shades[row] !== alone) shades[row] = HIDDEN;
  plane.paint(shades, palette(by));
  const classes = swatches(by);
  fill(
    document.getElementById("legend"),
    entries.map(([name, size, place]) =>
      el(
        "li",
        {},
        el(
          "button",
          {
            type: "button",
            "aria-pressed": String(alone === place),
            "data-key": name,
            onclick: () => {
              alone = alone === place ? null : place;
              paint();
            },
          },
          el("span", { className: `swatch ${classes[place] ?? ""}` }),
          short(name, 40),
          el("span", { className: "count" }, count(size)),
        ),
      ),
    ),
  );
  for (const one of document.querySelectorAll("[data-by]"))
    one.setAttribute("aria-checked", String(one.dataset.by === by));
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
    const found = await pattern(id);
    detail.replaceChildren(...sheet(found, now, doing(found)));
    if (matchMedia("(max-width: 1080px)").matches) detail.scrollIntoView({ block: "start" });
  } catch (error) {
    detail.replaceChildren(empty(error.message));
  }
}

/** What the buttons of a sheet do, and what is shown afterwards. */
function doing(found) {
  const again = async (isDone) => {
    if (!isDone) return;
    known.clear();
    await open(found.pattern_id);
  };
  return {
    close: () => choose(-1),
    pin: async () => again(await pin(found, true)),
    unpin: async () => again(await pin(found, false)),
    quarantine: async (agent) => again(await quarantine(agent)),
    forget: async () => {
      if (!(await forget(found))) return;
      known.clear();
      nextAt = 0;
      await choose(-1);
    },
  };
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

/* Lists: what a question finds, and what is best known */

async function overview() {
  if (!picture?.count) return detail.replaceChildren();
  const shown = picture;
  const rows = [...Array(Math.min(BEST, picture.count)).keys()].map((place) => picture.count - 1 - place);
  const best = await Promise.all(rows.map((row) => pattern(picture.idOf(row)).catch(() => null)));
  if (shown !== picture) return;
  const found = rows.map((row, place) => [row, best[place]]).filter(([, one]) => one);
  plane.name(found.map(([row, one]) => [row, short(title(one).split(" · ")[0], 22)]));
  if (plane.chosen >= 0 || hits.length) return;
  detail.replaceChildren(el("h2", {}, "Most evidence"), listed(best.filter(Boolean).slice(0, LISTED)));
}

function listed(found) {
  return el(
    "ol",
    { className: "list" },
    found.map((one) =>
      el(
        "li",
        {},
        el(
          "button",
          { type: "button", className: "link", onclick: () => find(one.pattern_id) },
          short(title(one), 110),
        ),
        el(
          "span",
          { className: "note" },
          "positive" in one
            ? summary(one)
            : `votes ${Math.round(100 * one.share)} %, quality ${fixed(one.expected_quality)} ± ` +
                `${fixed(one.quality_error)} · ${short(one.response, 60)}`,
        ),
      ),
    ),
  );
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
    el(
      "div",
      { className: "head" },
      el("h2", {}, `For “${short(text, 60)}”`),
      button("Close", () => choose(-1), "quiet"),
    ),
    el(
      "p",
      { className: "note" },
      `${counted(hits.length, "pattern")}, best first, in ${ms(performance.now() - began)}; ringed on the map.`,
    ),
    hits.length ? listed(hits) : empty("Nothing is known for a task like this."),
  );
}

document.getElementById("search").addEventListener("submit", ask);
for (const one of document.querySelectorAll("[data-by]")) {
  one.addEventListener("click", () => {
    [by, alone] = [one.dataset.by, null];
    paint();
  });
}
for (const one of document.querySelectorAll("[data-zoom]")) {
  one.addEventListener("click", () =>
    one.dataset.zoom === "all" ? plane.all() : plane.zoom(one.dataset.zoom === "in" ? 1.6 : 1 / 1.6),
  );
}
document.addEventListener("theme", paint);
