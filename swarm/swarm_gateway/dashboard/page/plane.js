/** The map on a canvas: a hundred thousand points, each stamped into the pixels; pan, zoom, and which one is meant. */

import { CONFIRMED, POSITIVE } from "./picture.js";
import { stamp, stampOf } from "./stamps.js";

const CELLS = 160;
const REACH = 14;
export const HIDDEN = 255;

export class Plane {
  /** `on` has `hover(row)` and `choose(row)`, with -1 for none. */
  constructor(host, points, marks, on) {
    Object.assign(this, { host, points, marks, on });
    this.picture = null;
    this.shades = null;
    this.palette = [];
    this.marked = [];
    this.names = [];
    this.chosen = this.hovered = -1;
    this.view = { x: 0, y: 0, scale: 1 };
    this.pointers = new Map();
    new ResizeObserver(() => this.resize()).observe(host);
    this.listen();
  }

  /** Show another picture; the first one is shown whole, later ones where one was looking. */
  show(picture) {
    const isFirst = !this.picture?.count;
    Object.assign(this, { picture, chosen: -1, hovered: -1, marked: [], names: [] });
    this.index();
    if (isFirst) this.all();
  }

  /** Colour the points: for each a place in `palette` ([r, g, b]), or HIDDEN. */
  paint(shades, palette) {
    Object.assign(this, { shades, palette });
    this.draw();
  }

  /** Ring these rows, and the chosen one. */
  mark(rows, chosen = this.chosen) {
    this.marked = rows;
    this.chosen = chosen;
    this.drawMarks();
  }

  /** Write names at points: [row, name] each, the most important first. */
  name(names) {
    this.names = names;
    this.drawMarks();
  }

  /** Look at everything. */
  all() {
    const { picture, width, height } = this;
    if (!picture?.count || !width) return;
    const [left, right] = extent(picture.x);
    const [low, high] = extent(picture.y);
    const room = Math.max(right - left, 1e-3),
      rise = Math.max(high - low, 1e-3);
    this.view = { x: (left + right) / 2, y: (low + high) / 2, scale: 0.92 * Math.min(width / room, height / rise) };
    this.whole = this.view.scale;
    this.draw();
  }

  /** Bring a point to the middle, if it is out of sight. */
  look(row) {
    const [x, y] = this.at(row);
    if (x < 20 || y < 20 || x > this.width - 20 || y > this.height - 20) {
      Object.assign(this.view, { x: this.picture.x[row], y: this.picture.y[row] });
      this.draw();
    }
  }

  /** Zoom by a factor about a place on the screen, the middle by default. */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const { view } = this;
    const scale = Math.min(Math.max(view.scale * factor, this.whole / 2), this.whole * 400);
    const moved = 1 / view.scale - 1 / scale;
    view.x += (px - this.width / 2) * moved;
    view.y -= (py - this.height / 2) * moved;
    view.scale = scale;
    this.draw();
  }

  pan(dx, dy) {
    this.view.x -= dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.draw();
  }

  /** Where a point is on the screen. */
  at(row) {
    const { view, picture } = this;
    return [
      (picture.x[row] - view.x) * view.scale + this.width / 2,
      (view.y - picture.y[row]) * view.scale + this.height / 2,
    ];
  }

  /** The row nearest to a place on the screen within reach; -1 if there is none. */
  nearest(px, py, reach = REACH) {
    const { picture, view, grid } = this;
    if (!picture?.count) return -1;
    const x = (px - this.width / 2) / view.scale + view.x;
    const y = view.y - (py - this.height / 2) / view.scale;
    const around = reach / view.scale;
    let best = -1,
      least = around * around;
    for (let row = grid.row(y - around); row <= grid.row(y + around); row++) {
      for (let column = grid.column(x - around); column <= grid.column(x + around); column++) {
        const cell = row * CELLS + column;
        for (let place = grid.starts[cell]; place < grid.starts[cell + 1]; place++) {
          const one = grid.order[place];
          if (this.shades?.[one] === HIDDEN) continue;
          const distance = (picture.x[one] - x) ** 2 + (picture.y[one] - y) ** 2;
          if (distance <= least) [best, least] = [one, distance];
        }
      }
    }
    return best;
  }

  resize() {
    const { width, height } = this.host.getBoundingClientRect();
    if (!width || (width === this.width && height === this.height)) return;
    const isFirst = !this.width;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    Object.assign(this, { width, height, ratio });
    for (const canvas of [this.points, this.marks]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    isFirst ? this.all() : this.paintNow();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.paintNow();
    });
  }

  paintNow() {
    const { picture, shades, palette, points, ratio, view } = this;
    if (!this.width || !picture || !shades) return;
    const context = points.getContext("2d");
    const { width, height } = points;
    const image = context.createImageData(width, height);
    const scale = view.scale * ratio,
      left = width / 2 - view.x * scale,
      top = height / 2 + view.y * scale;
    // In little room for many the points are small; they grow, slowly, as one looks closer.
    const crowd = Math.min(1, Math.max(0.34, Math.sqrt((this.width * this.height) / picture.count) / 18));
    const size = crowd * ratio * Math.min(2.6, Math.max(1, (view.scale / this.whole) ** 0.3));
    for (let row = 0; row < picture.count; row++) {
      if (shades[row] === HIDDEN) continue;
      const x = picture.x[row] * scale + left,
        y = top - picture.y[row] * scale;
      if (x < -30 || y < -30 || x > width + 30 || y > height + 30) continue;
      const flags = picture.flags[row];
      const radius = Math.min(22, size * (1.7 + 1.15 * Math.log2(1 + picture.n[row])));
      stamp(
        image,
        x,
        y,
        stampOf(radius, !(flags & POSITIVE), ratio),
        palette[shades[row]],
        flags & CONFIRMED ? 0.86 : 0.4,
      );
    }
    context.putImageData(image, 0, 0);
    this.drawMarks();
    performance.mark("map-painted");
  }

  drawMarks() {
    if (!this.width || !this.picture) return;
    const context = this.marks.getContext("2d");
    const ink = getComputedStyle(this.host).color;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.strokeStyle = ink;
    const ring = (row, radius, line) => {
      if (row < 0 || row >= this.picture.count) return;
      context.lineWidth = line;
      context.beginPath();
      context.arc(...this.at(row), radius, 0, 7);
      context.stroke();
    };
    this.drawNames(context, ink);
    for (const row of this.marked) ring(row, 8, 1.25);
    ring(this.hovered, 9, 1.25);
    ring(this.chosen, 11, 2.25);
  }

  /** The names of some points, each where no other one is. */
  drawNames(context, ink) {
    const taken = [];
    context.font = "600 11.5px system-ui, sans-serif";
    context.lineWidth = 3.5;
    context.lineJoin = "round";
    context.fillStyle = ink;
    context.strokeStyle = getComputedStyle(this.host).backgroundColor;
    for (const [row, name] of this.names) {
      const [x, y] = this.at(row);
      const width = context.measureText(name).width,
        left = x - width / 2;
      if (left < 4 || left + width > this.width - 4 || y < 18 || this.shades?.[row] === HIDDEN) continue;
      if (taken.some(([a, b, c]) => Math.abs(b - y) < 17 && a < left + width + 6 && left < c + 6)) continue;
      taken.push([left, y, left + width]);
      context.strokeText(name, left, y - 12);
      context.fillText(name, left, y - 12);
    }
    context.strokeStyle = ink;
  }

  hover(row) {
    if (row === this.hovered) return;
    this.hovered = row;
    this.drawMarks();
    this.on.hover(row);
  }

  /** A uniform grid over the points, as one array of rows in the order of their cells. */
  index() {
    const { x, y, count } = this.picture;
    const [left, right] = extent(x),
      [low, high] = extent(y);
    const clamp = (cell) => Math.min(CELLS - 1, Math.max(0, cell | 0));
    const column = (value) => clamp(((value - left) / (right - left || 1)) * CELLS);
    const row = (value) => clamp(((value - low) / (high - low || 1)) * CELLS);
    const starts = new Uint32Array(CELLS * CELLS + 1);
    const cells = new Uint32Array(count);
    for (let one = 0; one < count; one++) starts[(cells[one] = row(y[one]) * CELLS + column(x[one])) + 1]++;
    for (let cell = 0; cell < CELLS * CELLS; cell++) starts[cell + 1] += starts[cell];
    const order = new Uint32Array(count),
      next = starts.slice();
    for (let one = 0; one < count; one++) order[next[cells[one]]++] = one;
    this.grid = { starts, order, column, row };
  }

  listen() {
    const { host, pointers } = this;
    const place = (event) => {
      const box = host.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    host.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...place(event));
      },
      { passive: false },
    );
    host.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      host.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, place(event));
      this.moved = pointers.size > 1 ? Infinity : 0;
    });
    host.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId),
        now = place(event);
      if (!before) return this.hover(event.target.closest("button") ? -1 : this.nearest(...now));
      pointers.set(event.pointerId, now);
      const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
      this.moved += Math.abs(dx) + Math.abs(dy);
      if (pointers.size === 1 && this.moved > 4) return this.pan(dx, dy);
      if (pointers.size !== 2) return;
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
      this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      this.pan(dx / 2, dy / 2);
    });
    const ended = (event) => {
      if (!pointers.delete(event.pointerId) || event.type === "pointercancel" || this.moved > 4) return;
      this.on.choose(this.nearest(...place(event), event.pointerType === "touch" ? 24 : REACH));
    };
    host.addEventListener("pointerup", ended);
    host.addEventListener("pointercancel", ended);
    host.addEventListener("pointerleave", () => this.hover(-1));
    const keys = {
      ArrowLeft: () => this.pan(60, 0),
      ArrowRight: () => this.pan(-60, 0),
      ArrowUp: () => this.pan(0, 60),
      ArrowDown: () => this.pan(0, -60),
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.all(),
      Enter: () => this.on.choose(this.nearest(this.width / 2, this.height / 2, this.width)),
    };
    host.addEventListener("keydown", (event) => {
      if (event.target !== host || !keys[event.key] || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      keys[event.key]();
    });
  }
}

function extent(values) {
  let low = Infinity,
    high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 0];
}
