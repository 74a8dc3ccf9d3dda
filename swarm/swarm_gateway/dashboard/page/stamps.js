/** Discs and rings, laid into the pixels of a picture: many times quicker than paths on a canvas. */

const STAMPS = new Map();

/** How much of each pixel a disc, or a ring, of a radius covers; one stamp for each quarter of a pixel. */
export function stampOf(radius, isRing, ratio) {
  const key = 4 * Math.round(4 * radius) + (isRing ? 2 : 0) + ratio - 1;
  let made = STAMPS.get(key);
  if (!made) {
    const half = Math.ceil(radius + 1),
      side = 2 * half + 1,
      line = Math.max(1.1, 0.38 * radius);
    made = { half, side, cover: new Float32Array(side * side) };
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const distance = Math.hypot(x - half, y - half);
        const inside = Math.min(1, Math.max(0, radius + 0.5 - distance));
        const hole = isRing ? Math.min(1, Math.max(0, radius - line + 0.5 - distance)) : 0;
        made.cover[y * side + x] = inside - hole;
      }
    }
    STAMPS.set(key, made);
  }
  return made;
}

/** Lay a stamp over the pixels, by the rule of source over destination, colours not premultiplied. */
export function stamp(image, x, y, { half, side, cover }, [red, green, blue], opacity) {
  const { data, width, height } = image;
  const left = Math.round(x) - half,
    top = Math.round(y) - half;
  for (let row = Math.max(0, -top); row < side && top + row < height; row++) {
    for (let column = Math.max(0, -left); column < side && left + column < width; column++) {
      const alpha = cover[row * side + column] * opacity;
      if (alpha <= 0) continue;
      const at = 4 * ((top + row) * width + left + column);
      const below = (data[at + 3] / 255) * (1 - alpha),
        total = alpha + below;
      data[at] = (red * alpha + data[at] * below) / total;
      data[at + 1] = (green * alpha + data[at + 1] * below) / total;
      data[at + 2] = (blue * alpha + data[at + 2] * below) / total;
      data[at + 3] = 255 * total;
    }
  }
}
