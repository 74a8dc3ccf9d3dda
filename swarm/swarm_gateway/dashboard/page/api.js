/** Calls to the gateway, with the token of this tab where one is needed. */

const KEY = "swarm-token";
let asking = null;

/** What went wrong, as the gateway said it. */
export class Failure extends Error {
  constructor(status, type, message) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/** The JSON answer to a call below /v1; null for an empty one. Asks for a token when the gateway wants one. */
export async function call(path, { method = "GET", body } = {}) {
  const answer = await send(path, method, body);
  return answer.status === 204 ? null : answer.json();
}

/** As `call`, for bytes. */
export async function bytes(path) {
  return (await send(path, "GET")).arrayBuffer();
}

/** A part of a path: names may hold anything. The slashes of a receipt's id stay. */
export function segment(name) {
  return encodeURIComponent(name).replaceAll("%2F", "/");
}

async function send(path, method, body) {
  for (;;) {
    const token = sessionStorage.getItem(KEY);
    const headers = { ...(token && { Authorization: `Bearer ${token}` }) };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const answer = await fetch(`/v1/${path}`, { method, headers, body: sent }).catch(() => {
      throw new Failure(0, "Away", "the gateway is away");
    });
    if (answer.ok) return answer;
    if (answer.status !== 401) throw await failure(answer);
    // Another call may have brought a new token meanwhile.
    if (sessionStorage.getItem(KEY) === token) await newToken(token !== null, await failure(answer));
  }
}

async function failure(answer) {
  const said = await answer.json().catch(() => null);
  return new Failure(answer.status, said?.error?.type ?? "HttpError", said?.error?.message ?? answer.statusText);
}

/** Asks once, however many calls wait for it. */
function newToken(isRefused, reason) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("login");
    const field = document.getElementById("token");
    if (isRefused) document.getElementById("login-text").textContent = reason.message;
    field.value = "";
    dialog.addEventListener(
      "close",
      () => {
        const token = field.value.trim();
        token ? sessionStorage.setItem(KEY, token) : sessionStorage.removeItem(KEY);
        field.value = "";
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}
