/** Charts by uPlot, in the colours of the page, as wide as their place, drawn anew when the theme changes. */

import { el } from "./dom.js";
import { when } from "./format.js";
import { colour } from "./theme.js";

/* global uPlot */
const HEIGHT = 200;
const FONT = "12px system-ui, sans-serif";

/** A figure that draws itself with `options(width)` and `data` as soon as it has a place. */
function figure(label, options, data) {
  const host = el("figure", { className: "chart", role: "img", "aria-label": label });
  let chart = null;
  const draw = () => {
    if (!host.clientWidth) return;
    chart?.destroy();
    chart = new uPlot(options(host.clientWidth), data, host);
  };
  new ResizeObserver(() => (chart ? chart.setSize({ width: host.clientWidth, height: HEIGHT }) : draw())).observe(host);
  const themed = () => (host.isConnected ? draw() : document.removeEventListener("theme", themed));
  document.addEventListener("theme", themed);
  return host;
}

const axis = (more = {}) => ({
  stroke: colour("--soft"),
  font: FONT,
  grid: { stroke: colour("--line"), width: 1 },
  ticks: { show: false },
  ...more,
});

/** A tick of a time axis: the day where ticks are days apart, else the time, with seconds where they matter. */
function clock(at, step) {
  const date = new Date(at * 1000);
  if (step >= 86400) return date.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  return date.toLocaleTimeString(undefined, {
    hour: "2-digit",
    minute: "2-digit",
    ...(step < 60 && { second: "2-digit" }),
    hour12: false,
  });
}

/** Lines over time. series: [{name, values, shade, dash?, isDots?}]; `range` of the values, else what they need. */
export function lines(label, times, series, range = null) {
  const options = (width) => ({
    width,
    height: HEIGHT,
    cursor: { points: { size: 7 }, y: false },
    scales: { x: { time: true }, y: range ? { range } : {} },
    axes: [
      axis({
        grid: { show: false },
        space: 84,
        size: 26,
        values: (_, ticks, __, ___, step) => ticks.map((at) => clock(at, step)),
      }),
      axis({ size: 44 }),
    ],
    series: [
      { label: "time", value: (_, at) => (at === null ? "" : when(at)) },
      ...series.map((one) => ({
        label: one.name,
        stroke: colour(one.shade),
        width: 1.75,
        dash: one.dash,
        paths: one.isDots ? () => null : uPlot.paths.stepped({ align: 1 }),
        points: { show: Boolean(one.isDots), size: 5, fill: colour(one.shade), stroke: colour(one.shade) },
        spanGaps: true,
        value: (_, value) => (value === null ? "" : value.toFixed(3)),
      })),
    ],
  });
  return figure(label, options, [times, ...series.map((one) => one.values)]);
}

/** Points with names. points: [{name, x, y}], x from 0 on, y in [0, 1]. */
export function scatter(label, points, titles) {
  const sorted = [...points].sort((a, b) => a.x - b.x);
  const most = Math.max(...sorted.map((one) => one.x), 1e-12);
  const named = (chart) => {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillStyle = colour("--ink");
    for (const one of sorted) {
      const x = chart.valToPos(one.x, "x", true),
        y = chart.valToPos(one.y, "y", true);
      const isRight = x > bbox.left + bbox.width * 0.7;
      ctx.textAlign = isRight ? "right" : "left";
      ctx.fillText(one.name, x + (isRight ? -9 : 9) * devicePixelRatio, y - 7 * devicePixelRatio);
    }
    ctx.restore();
  };
  const options = (width) => ({
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    hooks: { draw: [named] },
    scales: { x: { time: false, range: [0, most * 1.15] }, y: { range: [0, 1.08] } },
    axes: [
      axis({
        label: titles[0],
        labelSize: 18,
        labelFont: FONT,
        size: 34,
        values: (_, ticks) => ticks.map((one) => `$${Number(one.toPrecision(3))}`),
      }),
      axis({ label: titles[1], labelSize: 18, labelFont: FONT, size: 40 }),
    ],
    series: [
      {},
      { paths: () => null, points: { show: true, size: 9, fill: colour("--accent"), stroke: colour("--accent") } },
    ],
  });
  return figure(label, options, [sorted.map((one) => one.x), sorted.map((one) => one.y)]);
}
