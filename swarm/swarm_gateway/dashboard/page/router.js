/** The router: what each route costs and brings, budgets, and the latest decisions with their reasons. */

import { call } from "./api.js";
import { scatter } from "./charts.js";
import { block, el, empty, fill, table, tag } from "./dom.js";
import { ago, count, duration, fixed, ms, short, usd } from "./format.js";

const host = document.getElementById("router");
const EVERY_MS = 3000;
let nextAt = 0;
let signature = "";

/** Called when the tab is opened. */
export async function show(live) {
  nextAt = 0;
  await follow(live);
}

/** Called at each look. */
export async function follow(live) {
  if (performance.now() < nextAt) return;
  nextAt = performance.now() + EVERY_MS;
  let found;
  try {
    found = await call("dashboard/router");
  } catch (error) {
    signature = "";
    return fill(host, empty(error.message));
  }
  const now = JSON.stringify(found);
  if (now === signature) return;
  signature = now;
  const open = new Set([...host.querySelectorAll("details[open]")].map((one) => one.dataset.id));
  fill(
    host,
    el(
      "div",
      { className: "columns" },
      el("div", {}, routes(found.routes), budgets(found.budgets)),
      decisions(found.decisions, live.now_s, open),
    ),
  );
}

function routes(all) {
  const names = Object.keys(all);
  const measured = names
    .filter((name) => all[name].measured)
    .map((name) => ({ name, x: all[name].measured.cost, y: all[name].measured.quality }));
  const columns = [
    ["route"],
    ["outcomes", "num"],
    ["quality", "num"],
    ["cost", "num"],
    ["latency", "num"],
    ["declared"],
  ];
  const rows = names.map((name) => {
    const { measured: tried, declared } = all[name];
    return [
      name,
      ...(tried
        ? [count(tried.outcomes), fixed(tried.quality, 3), usd(tried.cost), ms(tried.latency_ms)]
        : ["0", "", "", ""]),
      said(declared),
    ];
  });
  return block(
    "Routes",
    "measured from outcomes",
    measured.length
      ? scatter("Quality against cost of the routes", measured, ["mean cost of a task", "mean quality"])
      : null,
    rows.length
      ? table("Routes", columns, rows)
      : empty("No routes yet: outcomes name one, or swarm route declare does."),
  );
}

function said(declared) {
  if (!declared) return "";
  return (
    ["cost", "quality", "speed"]
      .filter((name) => declared[name] !== null)
      .map((name) => `${name} ${declared[name]}`)
      .join(", ") || "nothing of it"
  );
}

function budgets(all) {
  const rows = Object.entries(all).map(([scope, one]) => {
    const share = one.amount ? Math.min(1, one.spent / one.amount) : 1;
    const bar = el("span", {});
    bar.style.width = `${100 * share}%`;
    return [
      scope,
      el(
        "div",
        {},
        `${usd(one.spent)} of ${usd(one.amount)}`,
        el("div", { className: `meter ${share >= 0.9 ? "bad" : ""}` }, bar),
      ),
      duration(one.period_s),
      usd(one.left),
      one.per_task === null ? "" : usd(one.per_task),
    ];
  });
  return block(
    "Budgets",
    null,
    rows.length
      ? table("Budgets", [["scope"], ["spent"], ["period", "num"], ["left", "num"], ["a task", "num"]], rows)
      : empty("No budgets: swarm route budget sets one."),
  );
}

function decisions(all, now, open) {
  return block(
    "Latest decisions",
    all.length ? "made again from what each hung on" : null,
    all.length
      ? all.map((one) => decision(one, now, open))
      : empty("None yet: an agent asks before a task, or swarm route TEXT does."),
  );
}

function decision(one, now, open) {
  const columns = [
    ["route"],
    ["quality", "num"],
    ["cost", "num"],
    ["latency", "num"],
    ["utility", "num"],
    ["excluded", "wide"],
  ];
  const rows = one.candidates.map(({ route, expected, utility, excluded }) => [
    route === one.route ? el("strong", {}, route) : route,
    `${fixed(expected.quality)} ± ${fixed(expected.quality_error)}`,
    usd(expected.cost),
    ms(expected.latency_ms),
    excluded ? "" : fixed(utility, 3),
    excluded,
  ]);
  const bounds = Object.entries(one.request).filter(
    ([name, value]) =>
      ["strategy", "max_cost", "min_quality", "timeout_ms", "budget_left", "worth", "sticky"].includes(name) &&
      value !== null &&
      value !== "",
  );
  return el(
    "details",
    { "data-id": one.decision_id, open: open.has(one.decision_id) },
    el(
      "summary",
      { "data-key": one.decision_id },
      el("span", {}, short(one.text, 70) || "no text"),
      el("span", {}, tag(one.route || "none", one.is_same ? "good" : "warn")),
      el("span", { className: "note" }, `${one.agent ? `${one.agent}, ` : ""}${ago(one.at_s, now)}. ${one.why}`),
    ),
    el(
      "div",
      { className: "inner" },
      table("Candidates", columns, rows),
      el("p", { className: "note" }, bounds.map(([name, value]) => `${name} ${value}`).join(" · ")),
      el("p", { className: "note mono" }, one.decision_id),
    ),
  );
}
