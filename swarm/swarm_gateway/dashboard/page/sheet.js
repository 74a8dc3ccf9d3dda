/** The sheet of one pattern: what it says, who learned it, from which runs, and what can be done about it. */

import { button, el, pairs, tag } from "./dom.js";
import { ago, count, counted, fixed, ms, short, usd, when } from "./format.js";

/** What a pattern is called: its label, else the best words that there are. */
export const title = (found) => found.label || found.examples[0]?.text || found.response || found.action;

/** A pattern in one line. */
export const summary = (found) =>
  `${counted(found.outcomes, "outcome")}, ${found.positive ? "" : "failed: "}quality ${fixed(found.mean_quality)} · ` +
  (found.sources.length === 1 ? found.sources[0].agent : counted(found.sources.length, "agent"));

/** All that is known of a pattern, seen at `now`; `on` has close, pin, unpin, forget and quarantine(agent). */
export function sheet(found, now, on) {
  return [
    el("div", { className: "head" }, el("h2", {}, short(title(found), 160)), button("Close", on.close, "quiet")),
    el(
      "p",
      {},
      tag(found.task_type),
      " ",
      found.positive ? tag("to repeat", "good") : tag("to avoid", "bad"),
      " ",
      found.confirmed ? tag("confirmed", "good") : tag("one agent's word", "warn"),
      " ",
      found.pinned_as ? tag("pinned") : null,
    ),
    found.response ? el("p", { className: "response" }, found.response) : null,
    pairs(
      [
        "quality",
        `${fixed(found.expected_quality)} ± ${fixed(found.quality_error)} (mean ${fixed(found.mean_quality)})`,
      ],
      ["outcomes", count(found.outcomes)],
      ["last seen", found.last_s ? `${when(found.last_s)}, ${ago(found.last_s, now)}` : "unknown"],
      found.pinned_as && found.pinned_as !== found.pattern_id
        ? ["pinned as", el("span", { className: "mono" }, found.pinned_as)]
        : null,
      ["pattern", el("span", { className: "mono" }, found.pattern_id)],
    ),
    el(
      "div",
      { className: "buttons" },
      found.pinned_as ? button("Unpin", on.unpin) : button("Pin", on.pin),
      button("Forget…", on.forget, "danger"),
    ),
    el("h3", {}, "Who learned it"),
    el(
      "ul",
      { className: "list" },
      found.sources.map((source) => origin(found, source, on)),
    ),
    found.routes.length ? el("h3", {}, "Routes") : null,
    el(
      "ul",
      { className: "list" },
      found.routes.map((one) =>
        el(
          "li",
          { className: "row" },
          el("span", {}, one.route),
          el(
            "span",
            { className: "note" },
            `${counted(one.outcomes, "outcome")}, quality ${fixed(one.mean_quality)}, ` +
              `${usd(one.mean_cost)}, ${ms(one.mean_latency_ms)}`,
          ),
        ),
      ),
    ),
    el("h3", {}, "From which runs"),
    el(
      "ul",
      { className: "list" },
      found.examples.map((one) =>
        el(
          "li",
          {},
          one.text || "no text was kept",
          el("span", { className: "note" }, `${one.agent}, quality ${fixed(one.quality)}, ${ago(one.at_s, now)}`),
          el("span", { className: "mono" }, one.trajectory_id),
        ),
      ),
    ),
  ].filter(Boolean);
}

/** One agent's part. */
function origin(found, source, on) {
  const verdict = found.verdicts[source.agent];
  const isOut = verdict === "quarantined";
  return el(
    "li",
    { className: "row" },
    el(
      "span",
      {},
      el("a", { href: `#agents/${encodeURIComponent(source.agent)}` }, source.agent),
      " ",
      el(
        "span",
        { className: "note" },
        `${counted(source.outcomes, "outcome")}, quality ${fixed(source.mean_quality)}`,
      ),
    ),
    el(
      "span",
      {},
      tag(verdict ?? "not here any more", isOut ? "bad" : ""),
      " ",
      verdict && !isOut ? button("Quarantine…", () => on.quarantine(source.agent), "quiet") : null,
    ),
  );
}
