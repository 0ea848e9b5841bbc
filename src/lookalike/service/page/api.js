// The parts of the service's REST API that the page needs. Errors are `Problem`s.

export class Problem extends Error {
  constructor(status, document) {
    super(document?.detail || "The service did not respond.");
    this.status = status;
    this.code = document?.code ?? "";
    this.at = document?.at;
  }
}

const UNREACHABLE = { detail: "The service cannot be reached. Is it still running?", code: "unreachable" };
const BUSY = [429, 503];
const LONGEST_WAIT_S = 10;

let askForKey = async () => false; // resolves to true once the user has given a key
let pendingKey = null; // one dialog serves all requests that wait for a key

/** Let `dialog` ask for a key whenever the service requires one. */
export const onKeyNeeded = (dialog) => { askForKey = dialog; };
const requestKey = () => (pendingKey ??= askForKey().finally(() => { pendingKey = null; }));

/** Send a request. Retry while the service is busy, at most `retries` times. */
async function call(path, { retries = 2, ...options } = {}) {
  for (let tries = 0; ; tries += 1) {
    const response = await request(path, options);
    if (response.status === 401 && (await requestKey())) continue;
    if (BUSY.includes(response.status) && tries < retries) {
      const wait = Number(response.headers.get("retry-after")) || 2 ** tries;
      await pause(Math.min(wait, LONGEST_WAIT_S) * 1000, options.signal);
      continue;
    }
    const document = await readJson(response);
    if (!response.ok) throw new Problem(response.status, document ?? { detail: `The service responded with status ${response.status}.` });
    return document;
  }
}

async function request(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(0, UNREACHABLE);
  }
}

async function readJson(response) {
  if (!/json/.test(response.headers.get("content-type") ?? "")) return null;
  try {
    return await response.json();
  } catch (error) { // the service stopped in the middle of the response
    throw error.name === "AbortError" ? error : new Problem(0, UNREACHABLE);
  }
}

const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

const JSON_HEADERS = { "content-type": "application/json" };
const send = (path, body, signal) => call(path, { method: "POST", signal, headers: JSON_HEADERS, body: JSON.stringify(body) });

const under = (collection, path) => `/v1/collections/${encodeURIComponent(collection)}${path}`;
// The id is a query parameter, because browsers resolve ".." in a path, even when it is encoded.
const itemAt = (collection, id, what, more) => under(collection, `/item${what}?id=${encodeURIComponent(id)}&${more}`);

export const collections = () => call("/v1/collections");
export const createCollection = (name) => send("/v1/collections", { name });
export const stats = (collection, signal) => call(under(collection, "/stats?fields=true"), { signal });
export const sample = (collection, count, seed, signal) => call(under(collection, `/items?sample=${count}&seed=${seed}`), { signal });
export const map = (collection, where) => call(under(collection, `/map${where ? `?${new URLSearchParams({ where })}` : ""}`));
export const access = () => call("/v1/access");

/** Return the URL of a hit's or an item's thumbnail, or null where there is none. */
export const thumbnail = (hit, side) => (hit.thumbnail ? `${hit.thumbnail}&side=${side}` : null);
/** Return the URL of the thumbnail of an item that is known by its id alone. */
export const thumbnailOf = (collection, id, side) => itemAt(collection, id, "/thumbnail", `side=${side}`);

export function facets(collection, fields, where, limit, signal) {
  const params = new URLSearchParams(fields.map((field) => ["field", field]));
  if (where) params.set("where", where);
  params.set("limit", limit);
  return call(under(collection, `/facets?${params}`), { signal });
}

/** Search with a query, and with the bytes of `images`, if there are any. */
export const search = (collection, query, images, signal) => sendQuery(under(collection, "/search"), query, images, signal);

/** Explain why an item is like a query, which is that of `search`. */
export const explain = (collection, id, query, images, signal) => sendQuery(itemAt(collection, id, "/explain", "format=json"), query, images, signal);

function sendQuery(path, query, images, signal) {
  if (!images.length) return send(path, query, signal);
  const form = new FormData();
  const { parts, ...fields } = query;
  if (parts) form.append("parts", JSON.stringify(parts));
  for (const [name, value] of Object.entries(fields))
    for (const one of [value].flat(name === "crop" ? 0 : 1))
      form.append(name, typeof one === "object" ? one.join(",") : one);
  for (const image of images) form.append("image", image, "query");
  return call(path, { method: "POST", body: form, signal });
}

/** Return the crops that the service proposes for an item, or for `image`. */
export const proposeCrops = (collection, id, image) =>
  image ? call(under(collection, "/crops"), { method: "POST", body: image, headers: { "content-type": "application/octet-stream" }, retries: 0 })
    : call(itemAt(collection, id, "/crops", ""), { retries: 0 });

/** Add images, each given as `[path, file]`. With `replacing`, they replace items of the same name.
 * Retries more often than other requests, because more batches follow. */
export function addImages(collection, images, label, replacing, signal) {
  const form = new FormData();
  const labelled = label ? { label } : {};
  form.append("items", JSON.stringify(images.map(([path]) => (replacing ? { id: path, ...labelled } : { name: path, ...labelled }))));
  for (const [, file] of images) form.append("image", file, "image");
  return call(under(collection, "/items"), { method: "POST", body: form, signal, retries: 6 });
}

/** Return whether the service accepts `key`. If so, it sets a cookie that stands for the key. */
export async function unlock(key) {
  const response = await request("/v1/session", { method: "POST", headers: JSON_HEADERS, body: JSON.stringify({ key }) });
  return response.ok;
}
