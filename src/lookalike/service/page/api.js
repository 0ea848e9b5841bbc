// The service's REST interface, as much of it as the page needs. Errors are `Problem`s.

export class Problem extends Error {
  constructor(status, document) {
    super(document?.detail || "The service did not answer.");
    this.status = status;
    this.code = document?.code ?? "";
    this.at = document?.at;
  }
}

let ask = async () => false; // asks for a key; true when there is one now

/** Let `dialog` ask for a key whenever the service wants one. */
export const whenLocked = (dialog) => { ask = dialog; };

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The service cannot be reached. Is it still running?", code: "away" });
  }
  if (answer.status === 401 && (await ask())) return call(path, options);
  const isJson = /json/.test(answer.headers.get("content-type") ?? "");
  const document = isJson ? await answer.json() : null;
  if (!answer.ok) {
    const wait = answer.headers.get("retry-after");
    throw new Problem(answer.status, document ?? { detail: `The service answered ${answer.status}.${wait ? ` Try again in ${wait} s.` : ""}` });
  }
  return document;
}

const send = (method, path, body, signal) =>
  call(path, { method, signal, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

const under = (collection, path) => `/v1/collections/${encodeURIComponent(collection)}${path}`;
const itemAt = (collection, id, what = "") => under(collection, `/items/${encodeURIComponent(id)}${what}`);

export const collections = () => call("/v1/collections");
export const stats = (collection, signal) => call(under(collection, "/stats?fields=true"), { signal });
export const item = (collection, id) => call(itemAt(collection, id));
export const items = (collection, limit, signal) => call(under(collection, `/items?limit=${limit}`), { signal });
export const access = () => call("/v1/access");

/** Where the small picture of a hit or an item is; null where its file is not known. */
export const thumbnail = (hit, side) => (hit.thumbnail ? `${hit.thumbnail}&side=${side}` : null);
/** Likewise of what is known by its id alone. */
export const thumbnailOf = (collection, id, side) => itemAt(collection, id, `/thumbnail?side=${side}`);

export function facets(collection, fields, where, limit, signal) {
  const said = new URLSearchParams(fields.map((field) => ["field", field]));
  if (where) said.set("where", where);
  said.set("limit", limit);
  return call(under(collection, `/facets?${said}`), { signal });
}

/** Search by a document, and by a picture's bytes beside it where there are any. */
export function search(collection, query, picture, signal) {
  const path = under(collection, "/search");
  if (!picture) return send("POST", path, query, signal);
  const form = new FormData();
  for (const [name, value] of Object.entries(query))
    for (const one of [value].flat(name === "crop" ? 0 : 1))
      form.append(name, typeof one === "object" ? one.join(",") : one);
  form.append("picture", picture, "query");
  return call(path, { method: "POST", body: form, signal });
}

/** Add pictures, `[id, file]` each. */
export function add(collection, pictures, label, signal) {
  const form = new FormData();
  form.append("items", JSON.stringify(pictures.map(([id]) => (label ? { id, label } : { id }))));
  for (const [, file] of pictures) form.append("picture", file, "picture");
  return call(under(collection, "/items"), { method: "POST", body: form, signal });
}

export const unlock = (key) =>
  fetch("/v1/session", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ key }) }).then((answer) => answer.ok);
