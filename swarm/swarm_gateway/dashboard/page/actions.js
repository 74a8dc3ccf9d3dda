/** What an operator does: asked first where it takes something away, and true if it was done. */

import { call, segment } from "./api.js";
import { confirmed, toast } from "./dom.js";
import { counted, short } from "./format.js";
import { title } from "./sheet.js";

/** Keep a pattern from ageing, or let it age again. */
export async function pin(found, isKept) {
  await call(`patterns/${segment(found.pattern_id)}/pin`, { method: isKept ? "POST" : "DELETE" });
  toast(isKept ? "Pinned: it stays." : "It ages again.");
  return true;
}

/** Erase a pattern. */
export async function forget(found) {
  const text =
    `“${short(title(found), 80)}” is erased from the bank and from every agent that holds it, with its ` +
    `${counted(found.outcomes, "outcome")}. It cannot come back, and this cannot be undone. ` +
    "Backups keep what they hold.";
  if (!(await confirmed("Forget this pattern?", text, "Forget for good", true))) return false;
  await call(`patterns/${segment(found.pattern_id)}`, { method: "DELETE" });
  toast("Forgotten.");
  return true;
}

/** Put an agent in quarantine. */
export async function quarantine(agent) {
  const text =
    `What ${agent} has learned and goes on to learn is kept, and does not count for the others any more: ` +
    "with the next merge its part leaves the bank. Nothing is erased; it can be released at any time.";
  if (!(await confirmed(`Put ${agent} in quarantine?`, text, "Quarantine", true))) return false;
  await call(`agents/${segment(agent)}/quarantine`, { method: "POST" });
  toast(`${agent} is in quarantine.`);
  return true;
}

/** Release an agent. */
export async function release(agent) {
  const done = await call(`agents/${segment(agent)}/quarantine`, { method: "DELETE" });
  toast(`${agent} is released: its feedback counts as ${done.verdict}.`);
  return true;
}

/** Let an agent hold again what it held at a version. */
export async function rollBack(agent, version) {
  const text =
    `${agent} holds and ranks again as it did at version ${version}. This makes a new version, so it can be ` +
    "rolled back, too. Outcomes reported since are not learned again. Workers publish it with the next merge.";
  if (!(await confirmed(`Roll ${agent} back?`, text, `Roll back to ${version}`))) return false;
  const body = { version };
  const done = await call(`agents/${segment(agent)}/rollback`, { method: "POST", body });
  toast(`Version ${done.generation} of ${agent} is what version ${done.version} was.`);
  return true;
}

/** Let a dead task wait again. */
export async function replay(task) {
  await call(`dead/${segment(task.id)}/replay`, { method: "POST" });
  toast("It waits again, with all its attempts.");
  return true;
}

/** Forget a dead task. */
export async function drop(task) {
  const text = `“${short(task.text, 80)}” is forgotten, with what it was and why it failed. This cannot be undone.`;
  if (!(await confirmed("Drop this task?", text, "Drop it", true))) return false;
  await call(`dead/${segment(task.id)}`, { method: "DELETE" });
  toast("Dropped.");
  return true;
}
