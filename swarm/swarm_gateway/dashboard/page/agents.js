/** The agents: how each stands, its versions, what learning brought it, and the way back. */

import { quarantine, release, rollBack } from "./actions.js";
import { call, segment } from "./api.js";
import { lines } from "./charts.js";
import { block, button, confirmed, el, empty, fill, table, tableRow, tag } from "./dom.js";
import { count, counted, duration, fixed, short } from "./format.js";

const MAX_ROWS = 200;
const MAX_VERSIONS = 100;
const host = document.getElementById("agents");
const filter = el("input", {
  type: "search",
  placeholder: "Name or role",
  "aria-label": "Show only agents with this in their name or role",
});
const list = el("div", {});
const sheet = el("div", { className: "block" });
let last = null;
let signature = "";
/** Whose versions are shown, and as of which state. */
let history = { agent: "", state: "" };

/** Called when the tab is opened. */
export async function show(live) {
  if (!host.firstChild) {
    filter.addEventListener("input", () => rows(last));
    host.append(
      el(
        "div",
        { className: "agents-columns" },
        el(
          "section",
          { className: "block" },
          el("div", { className: "head" }, el("h2", {}, "Agents"), el("div", {}, filter)),
          list,
        ),
        sheet,
      ),
    );
  }
  await follow(live);
}

/** Called at each look. */
export async function follow(live) {
  last = live.status;
  rows(last);
  const name = wanted();
  const agent = last.agents.find((one) => one.name === name);
  if (!agent) {
    history = { agent: "", state: "" };
    return fill(sheet, empty(last.agents.length ? "Choose an agent to see its versions." : ""));
  }
  const state = `${agent.generation} ${agent.verdict} ${agent.silenced}`;
  if (history.agent === name && history.state === state) return;
  const isNew = history.agent !== name;
  history = { agent: name, state };
  try {
    fill(sheet, versions(agent, (await call(`agents/${segment(name)}/history`)).versions, live.now_s));
    if (isNew && matchMedia("(max-width: 1080px)").matches) sheet.scrollIntoView({ block: "start" });
  } catch (error) {
    fill(sheet, empty(error.message));
  }
}

const wanted = () => decodeURIComponent(location.hash.split("/")[1] ?? "");

function rows(status) {
  const text = filter.value.trim().toLowerCase();
  const found = status.agents.filter((one) => `${one.name} ${one.role}`.toLowerCase().includes(text));
  const now = JSON.stringify([found.slice(0, MAX_ROWS), found.length, wanted()]);
  if (now === signature) return;
  signature = now;
  const extra = ["rewound", "refused", "dead", "lost"].filter((name) => status.agents.some((one) => one[name]));
  const columns = [
    ["agent"],
    ["role"],
    ["trust"],
    ["gen.", "num"],
    ["accepted", "num"],
    ["learned", "num"],
    ["waiting", "num"],
    ["oldest", "num"],
    ["open", "num"],
    ...extra.map((name) => [name, "num"]),
  ];
  const shown = found.slice(0, MAX_ROWS).map((one) =>
    tableRow(
      columns,
      [
        el("a", { href: `#agents/${encodeURIComponent(one.name)}`, "data-key": one.name }, one.name),
        one.role,
        trust(one),
        ...["generation", "accepted", "consolidated", "pending"].map((name) => count(one[name])),
        one.oldest_pending_s === null ? "" : duration(one.oldest_pending_s),
        count(one.open),
        ...extra.map((name) =>
          el("span", { className: one[name] && ["dead", "lost"].includes(name) ? "bad" : "" }, count(one[name])),
        ),
      ],
      {
        className: one.name === wanted() ? "chosen pick" : "pick",
        onclick: () => {
          location.hash = `agents/${encodeURIComponent(one.name)}`;
        },
      },
    ),
  );
  fill(
    list,
    status.agents.length ? table("Agents", columns, shown) : empty("No agents yet. `swarm demo` shows some at work."),
    found.length > MAX_ROWS
      ? el("p", { className: "note" }, `${count(found.length - MAX_ROWS)} more: narrow them down by name or role.`)
      : null,
  );
}

const trust = (agent) =>
  agent.verdict === "quarantined"
    ? tag(agent.silenced ? "quarantined by an operator" : "quarantined", "bad")
    : agent.verdict;

function versions(agent, all, now) {
  const columns = [
    ["version", "num"],
    ["age", "num"],
    ["what"],
    ["outcomes", "num"],
    ["loss", "num"],
    ["after", "num"],
    ["weights"],
    [""],
  ];
  const shown = all
    .slice(0, MAX_VERSIONS)
    .map((one) =>
      tableRow(columns, [
        one.is_current ? el("strong", {}, count(one.version)) : count(one.version),
        duration(now - one.at_s),
        what(one),
        one.outcomes ? count(one.outcomes) : "",
        fixed(one.loss_before, 3),
        fixed(one.loss_after, 3),
        one.update === "refused" ? el("span", { className: "warn", title: one.why }, "refused") : one.update,
        one.is_current
          ? tag("current", "good")
          : one.can_roll_back
            ? button(`Roll back to ${one.version}`, async () => anew(await rollBack(agent.name, one.version)))
            : "",
      ]),
    );
  return [
    el(
      "div",
      { className: "head" },
      el("h2", {}, `${agent.name}, ${agent.role}`),
      agent.silenced
        ? button("Release", async () => anew(await release(agent.name)))
        : button("Quarantine…", async () => anew(await quarantine(agent.name)), "danger"),
    ),
    learning(all),
    all.length
      ? table(`Versions of ${agent.name}`, columns, shown)
      : empty("No versions yet: nothing of it was consolidated."),
    all.length > MAX_VERSIONS
      ? el(
          "p",
          { className: "note" },
          `${count(all.length - MAX_VERSIONS)} older ones: swarm agents history ${agent.name} --limit ${all.length}`,
        )
      : null,
  ];
}

/** Read the versions again, if something was done. */
function anew(isDone) {
  if (isDone) history.state = "";
}

const what = (version) =>
  version.kind === "rollback"
    ? `rollback to ${version.parent}`
    : version.cause
      ? `${version.kind}: ${short(version.cause, 40)}`
      : version.kind;

/** What the log holds of each consolidation: held-out outcomes under the weights that held and under none; reports. */
function learning(all) {
  const entries = [...all].reverse().filter((one) => one.kind === "learned");
  const judged = entries.filter((one) => one.loss_before !== null && one.figures.loss_frozen !== undefined);
  const rated = entries.filter((one) => typeof one.figures.mean_quality === "number");
  const likelihood = (loss) => Math.exp(-loss);
  const held =
    judged.length < 2
      ? empty("Too few outcomes are held out yet to say what learning brought.")
      : lines(
          "Likelihood of held-out outcomes over time, learned against frozen",
          judged.map((one) => one.at_s),
          [
            {
              name: "learned",
              shade: "--c0",
              values: judged.map((one) => likelihood(one.update === "promoted" ? one.loss_after : one.loss_before)),
            },
            {
              name: "frozen",
              shade: "--soft",
              dash: [5, 4],
              values: judged.map((one) => likelihood(one.figures.loss_frozen)),
            },
          ],
        );
  const smooth = rated.map((_, place) => {
    const window = rated.slice(Math.max(0, place - 9), place + 1);
    const n = window.reduce((sum, one) => sum + one.outcomes, 0);
    return n ? window.reduce((sum, one) => sum + one.outcomes * one.figures.mean_quality, 0) / n : null;
  });
  const reported =
    rated.length < 2
      ? null
      : lines(
          "Reported quality over time",
          rated.map((one) => one.at_s),
          [
            {
              name: "each consolidation",
              shade: "--c5",
              isDots: true,
              values: rated.map((one) => one.figures.mean_quality),
            },
            { name: "of the last ten", shade: "--c1", values: smooth },
          ],
          [0, 1.02],
        );
  return [
    el("h3", {}, "Learned against frozen"),
    el(
      "p",
      { className: "note" },
      "How likely the ranking makes what happened in outcomes that were kept from training (geometric mean), " +
        "with the weights that held after each consolidation and with none.",
    ),
    held,
    reported ? el("h3", {}, "Reported quality") : null,
    reported,
    el("h3", {}, counted(all.length, "version")),
  ];
}
