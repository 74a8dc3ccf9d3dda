/** Making elements. Texts become text nodes, never markup: whatever an agent reported stays a text. */

/** An element; `props` are properties, or attributes by names with a dash and such. Null children are left out. */
export function el(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.includes("-") || key === "role" || key === "scope" || key === "colspan") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** Replace what `host` holds, and leave the focus where it was, by `data-key`. */
export function fill(host, ...children) {
  const focused = host.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  host.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  if (focused !== undefined) host.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** A table in a box that scrolls by itself. Columns: [title, "num" or "wide"]; rows: arrays of cells, or elements. */
export function table(label, columns, rows) {
  const head = columns.map(([title, kind]) => el("th", { scope: "col", className: kind ?? "" }, title));
  const body = rows.map((row) => (row instanceof Element ? row : tableRow(columns, row)));
  const made = el("table", { "aria-label": label }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
  return el("div", { className: "scroll" }, made);
}

/** One row of such a table. */
export function tableRow(columns, cells, props = {}) {
  return el(
    "tr",
    props,
    cells.map((cell, place) => el("td", { className: columns[place][1] ?? "" }, cell ?? "")),
  );
}

/** A block with a title. */
export function block(title, aside, ...children) {
  return el(
    "section",
    { className: "block" },
    el("div", { className: "head" }, el("h2", {}, title), aside ? el("span", { className: "note" }, aside) : null),
    children,
  );
}

export function empty(text) {
  return el("p", { className: "empty" }, text);
}

export function tag(text, kind = "") {
  return el("span", { className: `tag ${kind}` }, text);
}

/** A list of names and values. */
export function pairs(...entries) {
  return el(
    "dl",
    { className: "pairs" },
    entries.filter(Boolean).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

let hide = 0;

/** Say something in passing. */
export function toast(text, isBad = false) {
  const box = document.getElementById("toast");
  box.textContent = text;
  box.className = `toast shown ${isBad ? "bad" : ""}`;
  clearTimeout(hide);
  hide = setTimeout(() => box.classList.remove("shown"), isBad ? 8000 : 4000);
}

/** Ask before something is done; `text` says what it does. */
export function confirmed(title, text, yes, isGrave = false) {
  const dialog = document.getElementById("ask");
  document.getElementById("ask-title").textContent = title;
  document.getElementById("ask-text").textContent = text;
  document.getElementById("ask-yes").textContent = yes;
  dialog.classList.toggle("grave", isGrave);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** A button that does something asynchronous, once at a time, and says so when it fails. */
export function button(text, action, className = "") {
  const made = el("button", { type: "button", className, "data-key": text }, text);
  made.addEventListener("click", async (event) => {
    event.stopPropagation();
    made.disabled = true;
    try {
      await action();
    } catch (error) {
      toast(error.message, true);
    } finally {
      made.disabled = false;
    }
  });
  return made;
}
