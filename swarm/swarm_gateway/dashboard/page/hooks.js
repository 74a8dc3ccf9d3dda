/** The hooks: how many calls, how fast, how many failed; and the breaker that spares agents a Redis that is away. */

import { call } from "./api.js";
import { block, el, empty, fill, pairs, table, tag } from "./dom.js";
import { count, ms } from "./format.js";

const host = document.getElementById("hooks");

/** Called when the tab is opened, and at each look. */
export async function show(live) {
  await follow(live);
}

export async function follow({ gateway }) {
  const found = await call("hooks").catch((error) => {
    if (error.status === 404) return null;
    throw error;
  });
  const events = Object.entries(found?.events ?? {});
  const most = Math.max(1e-9, ...events.map(([, one]) => one.p99_ms ?? 0));
  const rows = events.map(([name, one]) => [name, count(one.count), el("span", { className: one.failed ? "bad" : "" }, count(one.failed)),
    ms(one.p50_ms), ms(one.p99_ms), bar((one.p99_ms ?? 0) / most)]);
  fill(host, block("Hooks", "since this gateway started", rows.length
    ? table("Hooks by event", [["event"], ["calls", true], ["failed", true], ["p50", true], ["p99", true], [""]], rows)
    : empty("No hooks yet: no agent outside of Python has called. swarm hooks install puts them in place.")), breaker(found?.breaker, gateway));
}

function bar(share) {
  const filled = el("span", {});
  filled.style.width = `${100 * share}%`;
  return el("div", { className: "meter" }, filled);
}

function breaker(state, gateway) {
  const told = Object.entries(state ?? {}).map(([name, value]) => [name.replaceAll("_", " "),
    name === "state" || typeof value === "boolean" ? tag(String(value), value === "closed" || value === false ? "good" : "warn") : String(value)]);
  return block("Breaker", null, pairs(...told, ["Redis found away", count(gateway.redis_failures)], ["outcomes spooled", count(gateway.spooled)]));
}
