/** The frame: which view is open, light or dark, and the figures that every view shares. */

import { Failure, call } from "./api.js";
import * as agents from "./agents.js";
import { el, fill, toast } from "./dom.js";
import { count, duration } from "./format.js";
import * as hooks from "./hooks.js";
import * as patterns from "./patterns.js";
import * as receipts from "./receipts.js";
import * as router from "./router.js";
import * as work from "./work.js";

/** Each has show(live), when its tab opens, and follow(live), at each look while it is open. */
const VIEWS = { map: patterns, agents, work, router, receipts, hooks };
const POLL_MS = 1000;
const THEMES = ["system", "light", "dark"];
const pulse = document.getElementById("pulse");
let live = null;
let answeredAt = 0;
let open = null;

/** Open the view of the address; `#agents/NAME` opens one thing in it. */
function route() {
  const [name] = location.hash.slice(1).split("/");
  const wanted = name in VIEWS ? name : "map";
  for (const one of Object.keys(VIEWS)) {
    const tab = document.getElementById(`tab-${one}`);
    tab.setAttribute("aria-selected", String(one === wanted));
    tab.tabIndex = one === wanted ? 0 : -1;
    document.getElementById(one).hidden = one !== wanted;
  }
  const isNew = open !== wanted;
  open = wanted;
  document.getElementById(`tab-${open}`).scrollIntoView({ block: "nearest", inline: "nearest" });
  if (live) isNew ? VIEWS[open].show(live) : VIEWS[open].follow(live);
}

/** The tabs by the arrow keys, as tabs are. */
function arrows(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const names = Object.keys(VIEWS);
  if (!step) return;
  const next = names[(names.indexOf(open) + step + names.length) % names.length];
  location.hash = next;
  document.getElementById(`tab-${next}`).focus();
}

/** The same figures as `swarm status`. */
function figures({ status }) {
  const sum = (name) => status.agents.reduce((total, agent) => total + agent[name], 0);
  const tasks = status.tasks.reduce((total, role) => total + role.waiting + role.running, 0);
  const shown = [
    ["patterns", status.patterns],
    ["agents", status.agents.length],
    ["accepted", sum("accepted")],
    ["learned", sum("consolidated")],
    ["waiting", status.pending],
    ["lost", status.lost, status.lost ? "bad" : ""],
    ["tasks", tasks],
    ["workers", status.workers.length, !status.workers.length && status.pending ? "bad" : ""],
  ];
  fill(
    document.getElementById("figures"),
    shown.map(([name, value, kind]) =>
      el("div", {}, el("dt", {}, name), el("dd", { className: kind ?? "", id: `figure-${name}` }, count(value))),
    ),
  );
  document.getElementById("name").textContent = status.name;
  document.title = `${status.name} · swarm`;
}

function beat(isLive, words) {
  // The words change each second while it is away: only the change from one to the other is announced.
  if (answeredAt && isLive === pulse.classList.contains("stale")) toast(isLive ? "Live again." : words, !isLive);
  pulse.className = `pulse ${isLive ? "live" : "stale"}`;
  pulse.querySelector(".words").textContent = words;
  document.getElementById("main").classList.toggle("stale-data", !isLive);
}

/** Look again and again, and for no more than a third of the time, however long an answer takes. */
async function follow() {
  const began = performance.now();
  try {
    const isFirst = live === null;
    live = await call("dashboard/live");
    answeredAt = Date.now();
    figures(live);
    beat(true, "live");
    await VIEWS[open][isFirst ? "show" : "follow"](live);
  } catch (error) {
    // A fault of the page is no news of the gateway.
    if (!(error instanceof Failure)) console.error(error);
    const clock = new Date(answeredAt).toLocaleTimeString();
    const since = answeredAt ? `stale since ${clock}, ${duration((Date.now() - answeredAt) / 1000)}` : "no answer yet";
    beat(false, `${since}: ${error.message}`);
  }
  setTimeout(follow, document.hidden ? 5 * POLL_MS : Math.max(POLL_MS, 2 * (performance.now() - began)));
}

/** Light, dark, or what the system says; kept in this browser. */
function themed(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem("swarm-theme", theme);
  document.getElementById("theme").textContent = `Theme: ${theme}`;
  document.dispatchEvent(new Event("theme"));
}

document.getElementById("theme").addEventListener("click", () => {
  themed(THEMES[(THEMES.indexOf(localStorage.getItem("swarm-theme") ?? "system") + 1) % THEMES.length]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));
document.querySelector(".tabs").addEventListener("keydown", arrows);
addEventListener("hashchange", route);
themed(THEMES.includes(localStorage.getItem("swarm-theme")) ? localStorage.getItem("swarm-theme") : "system");
route();
follow();
