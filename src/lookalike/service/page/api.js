// The service's REST interface, as much of it as the page needs. Errors are `Problem`s.

export class Problem extends Error {
  constructor(status, document) {
    super(document?.detail || "The service did not answer.");
    this.status = status;
    this.code = document?.code ?? "";
    this.at = document?.at;
  }
}

const AWAY = { detail: "The service cannot be reached. Is it still running?", code: "away" };
const BUSY = [429, 503];
const LONGEST_WAIT_S = 10;

let ask = async () => false; // asks for a key; true when there is one now
let asking = null; // one dialog serves all requests that wait for a key

/** Let `dialog` ask for a key whenever the service wants one. */
export const whenLocked = (dialog) => { ask = dialog; };
const unlocked = () => (asking ??= ask().finally(() => { asking = null; }));

/** Ask, again while the service says that it is busy, at most `patience` times more. */
async function call(path, { patience = 2, ...options } = {}) {
  for (let tries = 0; ; tries += 1) {
    const answer = await reached(path, options);
    if (answer.status === 401 && (await unlocked())) continue;
    if (BUSY.includes(answer.status) && tries < patience) {
      const told = Number(answer.headers.get("retry-after")) || 2 ** tries;
      await pause(Math.min(told, LONGEST_WAIT_S) * 1000, options.signal);
      continue;
    }
    const document = await documentOf(answer);
    if (!answer.ok) throw new Problem(answer.status, document ?? { detail: `The service answered ${answer.status}.` });
    return document;
  }
}

async function reached(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(0, AWAY);
  }
}

async function documentOf(answer) {
  if (!/json/.test(answer.headers.get("content-type") ?? "")) return null;
  try {
    return await answer.json();
  } catch (error) { // the service ended in the middle of it
    throw error.name === "AbortError" ? error : new Problem(0, AWAY);
  }
}

const pause = (ms, signal) => new Promise((go, stop) => {
  const timer = setTimeout(go, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); stop(signal.reason); }, { once: true });
});

const JSON_SENT = { "content-type": "application/json" };
const send = (path, body, signal) => call(path, { method: "POST", signal, headers: JSON_SENT, body: JSON.stringify(body) });

const under = (collection, path) => `/v1/collections/${encodeURIComponent(collection)}${path}`;
// The id as a parameter: browsers take a part ".." of a path, encoded too, for a step up.
const itemAt = (collection, id, what, more) => under(collection, `/item${what}?id=${encodeURIComponent(id)}&${more}`);

export const collections = () => call("/v1/collections");
export const begin = (name) => send("/v1/collections", { name });
export const stats = (collection, signal) => call(under(collection, "/stats?fields=true"), { signal });
export const sample = (collection, count, seed, signal) => call(under(collection, `/items?sample=${count}&seed=${seed}`), { signal });
export const access = () => call("/v1/access");

/** Where the small picture of a hit or an item is; null where its file is not known. */
export const thumbnail = (hit, side) => (hit.thumbnail ? `${hit.thumbnail}&side=${side}` : null);
/** Likewise of what is known by its id alone. */
export const thumbnailOf = (collection, id, side) => itemAt(collection, id, "/thumbnail", `side=${side}`);

export function facets(collection, fields, where, limit, signal) {
  const said = new URLSearchParams(fields.map((field) => ["field", field]));
  if (where) said.set("where", where);
  said.set("limit", limit);
  return call(under(collection, `/facets?${said}`), { signal });
}

/** Search by a document, and by a picture's bytes beside it where there are any. */
export function search(collection, query, picture, signal) {
  const path = under(collection, "/search");
  if (!picture) return send(path, query, signal);
  const form = new FormData();
  for (const [name, value] of Object.entries(query))
    for (const one of [value].flat(name === "crop" ? 0 : 1))
      form.append(name, typeof one === "object" ? one.join(",") : one);
  form.append("image", picture, "query");
  return call(path, { method: "POST", body: form, signal });
}

/** Add pictures, `[path, file]` each; patiently, as there is more to come. Only with `replacing` do
 * they take the place of items that are called so. */
export function add(collection, pictures, label, replacing, signal) {
  const form = new FormData();
  const said = label ? { label } : {};
  form.append("items", JSON.stringify(pictures.map(([path]) => (replacing ? { id: path, ...said } : { name: path, ...said }))));
  for (const [, file] of pictures) form.append("image", file, "image");
  return call(under(collection, "/items"), { method: "POST", body: form, signal, patience: 6 });
}

/** Whether `key` opens the service; from then on the browser shows it a cookie. */
export async function unlock(key) {
  const answer = await reached("/v1/session", { method: "POST", headers: JSON_SENT, body: JSON.stringify({ key }) });
  return answer.ok;
}
