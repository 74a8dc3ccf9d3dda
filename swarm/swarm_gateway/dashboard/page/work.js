/** Work under way: pools and who keeps them, queues, tasks by role, and this gateway. */

import { block, el, empty, fill, pairs, table, tag } from "./dom.js";
import { ago, count, counted, duration } from "./format.js";

const host = document.getElementById("work");
const KINDS = { running: "good", draining: "warn", asleep: "", silent: "bad", dead: "bad" };

/** Called when the tab is opened, and at each look. */
export function show(live) {
  follow(live);
}

export function follow({ status, pools: { pools }, gateway, now_s: now }) {
  fill(
    host,
    pooled(status, pools, now),
    tasks(status),
    el("div", { className: "columns" }, waiting(status), here(gateway)),
  );
}

function pooled(status, pools, now) {
  const hosts = status.supervisors.map((one) => one.host).join(", ");
  const alone = [...new Set(pools.map((one) => one.host))].filter(
    (one) => !status.supervisors.some((beat) => beat.host === one),
  );
  const hasRoles = pools.some((one) => one.role);
  const columns = [
    ["pool"],
    ...(hasRoles ? [["role"]] : []),
    ["host"],
    ["state"],
    ["processes", "num"],
    ["busy", "num"],
    ["done", "num"],
    ["heartbeat", "num"],
    ["up for", "num"],
    ["", "wide"],
  ];
  const rows = pools.map((one) => {
    const lives = !["dead", "asleep"].includes(one.status);
    const bounds = one.min_size !== one.max_size ? ` (${one.min_size}–${one.max_size})` : "";
    const size =
      one.concurrency !== one.wanted && one.status === "running"
        ? `${one.concurrency}→${one.wanted}`
        : `${one.concurrency}`;
    return [
      one.pool,
      ...(hasRoles ? [one.role] : []),
      one.host,
      tag(one.status, KINDS[one.status]),
      size + bounds,
      lives ? count(one.active) : "",
      lives ? count(one.done) : "",
      one.beat_s ? ago(one.beat_s, now) : "",
      lives ? duration(now - one.started_s) : "",
      remarks(one, now),
    ];
  });
  const care = hosts
    ? `Supervised on ${hosts}`
    : "No supervisor is alive: a worker that dies stays dead (swarm up starts one)";
  return block(
    "Pools",
    pools.length && alone.length && hosts ? `${care}; none on ${alone.join(", ")}` : care,
    rows.length
      ? table("Worker pools", columns, rows)
      : empty(
          `No worker is alive${status.pending ? ": outcomes wait" : ""}. ` +
            `Start some with swarm up --swarm ${status.name}.`,
        ),
  );
}

function remarks(pool, now) {
  const { care } = pool;
  const said = [];
  if (pool.fault) said.push(el("span", { className: "bad" }, pool.fault));
  if (care?.failures)
    said.push(
      el(
        "span",
        { className: "bad" },
        `failed ${counted(care.failures, "time")}` +
          (care.next_start_s > now ? `, next start in ${duration(care.next_start_s - now)}` : "") +
          `: ${care.fault}`,
      ),
    );
  else if (care?.why && pool.min_size !== pool.max_size) said.push(el("span", { className: "note" }, care.why));
  return el("span", {}, said);
}

function tasks({ tasks: roles }) {
  const names = ["submitted", "waiting", "retrying", "running", "succeeded", "cancelled", "dead", "dropped", "lost"];
  const rows = roles.map((one) => [
    one.role,
    ...names.map((name) =>
      el("span", { className: one[name] && ["dead", "lost"].includes(name) ? "bad" : "" }, count(one[name])),
    ),
    one.oldest_waiting_s === null ? "" : duration(one.oldest_waiting_s),
  ]);
  return block(
    "Tasks by role",
    null,
    rows.length
      ? table("Tasks by role", [["role"], ...names.map((name) => [name, "num"]), ["oldest waits", "num"]], rows)
      : empty("No tasks were submitted yet: swarm submit TEXT --role ROLE."),
  );
}

function waiting(status) {
  const oldest = Math.max(-1, ...status.agents.map((one) => one.oldest_pending_s ?? -1));
  return block(
    "Background",
    null,
    pairs(
      ["outcomes waiting", `${count(status.pending)}${oldest >= 0 ? `, the oldest for ${duration(oldest)}` : ""}`],
      ["agents to merge", count(status.unmerged_agents)],
      ["nudges queued", count(status.queue_depth)],
      ["merges", count(status.merges)],
      ["bank version", el("span", { className: "mono" }, status.bank_version)],
      ["embedder", status.embedder ?? "none yet"],
    ),
  );
}

function here(gateway) {
  return block(
    "This gateway",
    null,
    pairs(
      ["agents in memory", count(gateway.engines)],
      ["outcomes spooled", el("span", { className: gateway.spooled ? "warn" : "" }, count(gateway.spooled))],
      ["Redis found away", counted(gateway.redis_failures, "time")],
    ),
  );
}
