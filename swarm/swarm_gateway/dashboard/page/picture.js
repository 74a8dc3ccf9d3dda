/** The map as the gateway sends it, in typed arrays over the bytes that came. */

const KINDS = {
  n: Float32Array,
  quality: Float32Array,
  x: Float32Array,
  y: Float32Array,
  agent: Uint16Array,
  type: Uint8Array,
  flags: Uint8Array,
};
export const POSITIVE = 1;
export const CONFIRMED = 2;

/** {version, count, kept, agents, types, n, quality, x, y, agent, type, flags, idOf(row)} */
export function read(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(text(buffer, 4, size));
  const columns = {};
  let ids = null;
  let place = null;
  for (const [name, offset, length] of header.columns) {
    const start = 4 + size + offset;
    const kind = KINDS[name];
    if (kind) columns[name] = new kind(buffer, start, length / kind.BYTES_PER_ELEMENT);
    else place = [start, length];
  }
  // Nobody may ever ask for an id: a hundred thousand of them are read when somebody does.
  const all = () => (ids ??= JSON.parse(text(buffer, ...place)));
  return { ...header, ...columns, idOf: (row) => all()[row], rowOf: (id) => all().indexOf(id) };
}

function text(buffer, start, length) {
  return new TextDecoder().decode(new Uint8Array(buffer, start, length));
}
