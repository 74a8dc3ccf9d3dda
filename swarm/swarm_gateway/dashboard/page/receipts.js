/** Receipts: what became of anything that was accepted; and the tasks that failed for good. */

import { drop, replay } from "./actions.js";
import { call, segment } from "./api.js";
import { block, button, el, empty, fill, pairs, tag } from "./dom.js";
import { ago, counted, short, when } from "./format.js";

const host = document.getElementById("receipts");
const EVERY_MS = 3000;
const GOOD = ["searchable", "published", "succeeded", "consolidated", "committed"];
const BAD = ["dead", "rejected", "quarantined", "expired"];
const field = el("input", {
  id: "receipt-id",
  placeholder: "outcome/AGENT/KEY, consolidation/AGENT/N, merge/ID, ROLE:DIGITS",
  maxLength: 400,
  autocomplete: "off",
  spellcheck: false,
});
const found = el("div", {});
const dead = el("div", {});
let nextAt = 0;
let signature = "";

/** Called when the tab is opened. */
export async function show(live) {
  if (!host.firstChild) {
    const form = el(
      "form",
      { className: "find" },
      el("label", { className: "visually-hidden", htmlFor: "receipt-id" }, "Id of a receipt"),
      field,
      el("button", { type: "submit" }, "Look up"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      look(field.value.trim());
    });
    host.append(el("div", { className: "columns" }, block("What became of it", null, form, found), dead));
  }
  nextAt = 0;
  await follow(live);
}

/** Called at each look. */
export async function follow({ now_s: now }) {
  if (performance.now() < nextAt) return;
  nextAt = performance.now() + EVERY_MS;
  try {
    const { tasks: all } = await call("dead");
    const state = JSON.stringify(all);
    if (state !== signature) fill(dead, letters(all, now));
    signature = state;
  } catch (error) {
    signature = "";
    fill(dead, block("Dead letters", null, empty(error.message)));
  }
}

async function look(id) {
  if (!id) return fill(found);
  try {
    fill(found, receipt(await call(`receipts/${segment(id)}`)));
  } catch (error) {
    fill(found, empty(error.message));
  }
}

/** Every field that says something; what is nested as JSON. */
function receipt(values) {
  const { state, ...rest } = values;
  const told = Object.entries(rest).filter(
    ([, value]) =>
      value !== "" && value !== null && value !== 0 && !(typeof value === "object" && !Object.keys(value).length),
  );
  return [
    el("p", {}, tag(state, GOOD.includes(state) ? "good" : BAD.includes(state) ? "bad" : "warn")),
    pairs(...told.map(([name, value]) => [name.replaceAll("_", " "), shown(name, value)])),
  ];
}

function shown(name, value) {
  if (["at_s", "submitted", "ended", "deadline"].includes(name)) return when(value);
  if (typeof value === "object") return el("code", {}, JSON.stringify(value));
  return String(value);
}

function letters(all, now) {
  return block(
    "Dead letters",
    all.length ? counted(all.length, "task") : null,
    all.length
      ? el(
          "ul",
          { className: "list dead" },
          all.map((one) => letter(one, now)),
        )
      : empty("None: no task failed for good."),
  );
}

/** Look again at once, if something was done. */
function anew(isDone) {
  if (isDone) nextAt = 0;
}

function letter(one, now) {
  const buttons = el(
    "div",
    { className: "buttons" },
    button("Replay", async () => anew(await replay(one))),
    button("Drop…", async () => anew(await drop(one)), "danger"),
  );
  return el(
    "li",
    {},
    el(
      "div",
      {},
      short(one.text, 140) || "no text",
      el("span", { className: "bad note" }, one.why),
      el(
        "span",
        { className: "note" },
        [one.role, one.agent, counted(one.attempts, "attempt"), `died ${ago(one.ended, now)}`]
          .filter(Boolean)
          .join(", "),
      ),
      el(
        "button",
        {
          type: "button",
          className: "link mono",
          onclick: () => {
            field.value = one.id;
            look(one.id);
          },
        },
        one.id,
      ),
    ),
    buttons,
  );
}
