/** The hooks: how many calls, what they were answered, how fast; and the breakers that spare agents what is away. */

import { call } from "./api.js";
import { block, el, empty, fill, pairs, table, tag } from "./dom.js";
import { count, ms } from "./format.js";

const host = document.getElementById("hooks");
const EVERY_MS = 2000;
const BAD = ["late", "failed", "bad", "dropped"];
let nextAt = 0;
let isThere = true;

/** Called when the tab is opened. */
export async function show(live) {
  nextAt = 0;
  await follow(live);
}

/** Called at each look. */
export async function follow({ gateway }) {
  if (performance.now() < nextAt) return;
  nextAt = performance.now() + EVERY_MS;
  try {
    const found = await read();
    fill(host, events(found), state(found, gateway));
  } catch (error) {
    fill(host, empty(error.message));
  }
}

/** What the gateway counted; nothing from one that takes no hooks, which is not asked again. */
async function read() {
  if (!isThere) return {};
  try {
    return await call("hooks");
  } catch (error) {
    if (error.status !== 404) throw error;
    isThere = false;
    return {};
  }
}

function events({ hooks = [], durations = [] }) {
  const outcomes = [...new Set(hooks.map((one) => one.outcome))].sort();
  const columns = [
    ["event"],
    ["client"],
    ["calls", "num"],
    ["mean", "num"],
    ["p50 ≈", "num"],
    ["p99 ≈", "num"],
    ...outcomes.map((name) => [name, "num"]),
  ];
  const rows = durations.map((one) => [
    one.event,
    one.client,
    count(one.hooks),
    one.hooks ? ms((1000 * one.seconds) / one.hooks) : "",
    one.p50_ms === undefined ? "" : ms(one.p50_ms),
    one.p99_ms === undefined ? "" : ms(one.p99_ms),
    ...outcomes.map((name) => {
      const n = hooks
        .filter((row) => row.event === one.event && row.client === one.client && row.outcome === name)
        .reduce((sum, row) => sum + row.hooks, 0);
      return el("span", { className: n && BAD.includes(name) ? "bad" : "" }, count(n));
    }),
  ]);
  return block(
    "Hooks",
    rows.length ? "since this gateway started" : null,
    rows.length
      ? table("Hooks by event", columns, rows)
      : empty("No hooks yet: no coding agent has called. swarm hooks install puts them in place."),
  );
}

function state({ breaker, redis, waiting = 0, spool_bytes: spooled = 0, last_errors: errors = [] }, gateway) {
  const said = (one) =>
    one
      ? el(
          "span",
          {},
          one.open ? tag("open: calls go by", "bad") : tag("closed", "good"),
          ` after ${count(one.failures)} failures`,
        )
      : "no hooks yet";
  return block(
    "Breakers",
    null,
    pairs(
      ["hooks", said(breaker)],
      redis ? ["sessions in Redis", said(redis)] : null,
      ["events waiting", count(waiting)],
      ["spooled", `${count(spooled)} bytes of events, ${count(gateway.spooled)} outcomes`],
      ["Redis found away", count(gateway.redis_failures)],
      ...errors.map((text) => ["error", el("span", { className: "bad" }, text)]),
    ),
  );
}
