// The query as one plain object, and the URL that holds it: everyone who opens it sees the same search.

export const EMPTY = Object.freeze({
  collection: null, // null: the service's default
  id: null, // the query is an item …
  upload: null, // … or an image that this browser has stored, by its digest
  words: "", // … or words, alone or beside an image
  textMode: "auto", // how words are searched
  weight: 1, // of that image among others
  also: [], // further images of the query, each { id or upload, weight }
  mix: "mean", // results like all of them, or "best": like any of them
  crop: null, // [left, top, right, bottom] in 0 to 1
  liked: [], // ids
  disliked: [],
  k: 20,
  least: 0, // minimum score; 0 keeps everything
  where: "",
  values: Object.create(null), // field → values; an item must have one of them
  ranges: Object.create(null), // field → [low or null, high or null]
  expand: 0, // nearest items that are mixed into the query
  diversity: 0, // 0 to 1
  anyOrientation: false,
  collapse: false,
  perGroup: false,
  includeBlank: false,
  category: false,
});

const MOST_EXPANDED = 10; // of the control; the service takes more
const MIXES = ["mean", "best"];
const MOST_WEIGHT = 1000;
const MODES = ["auto", "encoder", "labels", "keywords", "fused"];
const FLAGS = { collapse: "fold", perGroup: "group", includeBlank: "blank", anyOrientation: "turn", category: "guess" };

// A field may be called `constructor` or `__proto__`, so objects keyed by field have no prototype.
const named = (entries = []) => Object.assign(Object.create(null), Object.fromEntries(entries));

/** Return `filters` (values or ranges) with the filter of `field` replaced; empty filters are left out. */
export const withFilter = (filters, field, one) =>
  named([...Object.entries(filters).filter(([name]) => name !== field), [field, one]]
    .filter(([, ends]) => ends.some((value) => value !== null)));

/** Return the state that a query string describes; invalid parameters are ignored. */
export function parse(search) {
  const params = new URLSearchParams(search);
  const state = { ...EMPTY, values: named(), ranges: named() };
  state.collection = params.get("c");
  state.id = params.get("id");
  state.upload = state.id === null ? params.get("up") : null;
  state.words = params.get("q") ?? "";
  if (MODES.includes(params.get("by"))) state.textMode = params.get("by");
  state.weight = weightOf(params.get("w") ?? "1") ?? 1;
  state.also = params.getAll("also").map(alsoOf).filter((one) => one !== null);
  if (MIXES.includes(params.get("mix"))) state.mix = params.get("mix");
  state.liked = params.getAll("more");
  state.disliked = params.getAll("less");
  state.where = params.get("where") ?? "";
  const k = Number(params.get("k"));
  if (Number.isInteger(k) && k >= 1 && k <= 50) state.k = k;
  const least = Number(params.get("least"));
  if (least > 0 && least <= 1) state.least = least;
  const expand = Number(params.get("expand"));
  if (Number.isInteger(expand) && expand >= 1 && expand <= MOST_EXPANDED) state.expand = expand;
  const diversity = Number(params.get("diversity"));
  if (diversity > 0 && diversity <= 1) state.diversity = diversity;
  const crop = (params.get("crop") ?? "").split(",").map(Number);
  if (crop.length === 4 && crop.every((one) => one >= 0 && one <= 1) && crop[0] < crop[2] && crop[1] < crop[3])
    state.crop = crop;
  for (const [name, flag] of Object.entries(FLAGS)) state[name] = params.get(flag) === "1";
  for (const [name, value] of params) {
    if (name.startsWith("in.")) {
      const parsed = parsedValue(value);
      if (parsed !== undefined) (state.values[name.slice(3)] ??= []).push(parsed);
    } else if (name.startsWith("of.")) {
      const range = value.split("..").map((one) => (one === "" ? null : Number(one)));
      if (range.length === 2 && range.every((one) => one === null || Number.isFinite(one)) && range.some((one) => one !== null))
        state.ranges[name.slice(3)] = range;
    }
  }
  return state;
}

/** Return the query string of a state, without default values. */
export function format(state) {
  const params = new URLSearchParams();
  if (state.collection) params.set("c", state.collection);
  if (state.id !== null) params.set("id", state.id);
  if (state.upload !== null) params.set("up", state.upload);
  if (state.words) params.set("q", state.words);
  if (state.textMode !== EMPTY.textMode) params.set("by", state.textMode);
  if (state.crop) params.set("crop", state.crop.map((one) => +one.toFixed(4)).join(","));
  if (state.weight !== EMPTY.weight) params.set("w", state.weight);
  for (const { id, upload, weight } of state.also) params.append("also", `${weight}:${id !== undefined ? `id:${id}` : `up:${upload}`}`);
  if (state.mix !== EMPTY.mix) params.set("mix", state.mix);
  for (const one of state.liked) params.append("more", one);
  for (const one of state.disliked) params.append("less", one);
  if (state.k !== EMPTY.k) params.set("k", state.k);
  if (state.least) params.set("least", state.least);
  if (state.expand) params.set("expand", state.expand);
  if (state.diversity) params.set("diversity", state.diversity);
  if (state.where) params.set("where", state.where);
  for (const [name, flag] of Object.entries(FLAGS)) if (state[name]) params.set(flag, "1");
  for (const [field, values] of Object.entries(state.values))
    for (const value of values) params.append(`in.${field}`, JSON.stringify(value));
  for (const [field, [low, high]] of Object.entries(state.ranges)) params.append(`of.${field}`, `${low ?? ""}..${high ?? ""}`);
  return `?${params}`;
}

/** Return whether there is something to search with. */
export const hasQuery = (state) => state.id !== null || state.upload !== null || state.also.length > 0 || state.words.trim() !== "" || state.liked.length > 0;

/** Return whether the query is one image or item, which can be turned and mirrored. */
export const canTurn = (state) => (state.id !== null || state.upload !== null) && state.words.trim() === "" && !state.also.length && !state.liked.length && !state.disliked.length;

/** Return the number of active filters. */
export const countFilters = (state) =>
  Object.values(state.values).reduce((sum, values) => sum + values.length, 0) +
  Object.keys(state.ranges).length + (state.where.trim() ? 1 : 0);

/** Return a state's filters as one filter expression, without those of the field `but`. */
export function filter(state, but = null) {
  const parts = [];
  for (const [field, values] of Object.entries(state.values))
    if (field !== but && values.length) parts.push(`${quoted(field)} in (${values.map(literal).join(", ")})`);
  for (const [field, [low, high]] of Object.entries(state.ranges)) {
    if (field === but) continue;
    if (low !== null) parts.push(`${quoted(field)}>=${low}`);
    if (high !== null) parts.push(`${quoted(field)}<=${high}`);
  }
  if (state.where.trim()) parts.push(parts.length ? `(${state.where})` : state.where);
  return parts.join(" and ");
}

/** Return the position in the user's own expression of position `at` in the whole filter, or null. */
export function positionInWhere(state, at) {
  const from = filter({ ...state, where: "" }) ? filter(state).length - state.where.length - 1 : 0;
  return Number.isInteger(at) && at >= from && state.where.trim() ? Math.min(at - from, state.where.length) : null;
}

function weightOf(text) {
  const weight = Number(text);
  return text !== "" && weight > 0 && weight <= MOST_WEIGHT ? weight : null;
}

/** Return the image that a parameter `WEIGHT:id:ID` or `WEIGHT:up:DIGEST` describes, or null. */
function alsoOf(text) {
  const [, number, kind, key] = /^([^:]*):(id|up):(.*)$/s.exec(text) ?? [];
  const weight = weightOf(number ?? "");
  if (weight === null || !key) return null;
  return kind === "id" ? { id: key, weight } : { upload: key, weight };
}

const quoted = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;
const literal = (value) => (typeof value === "string" ? quoted(value) : String(value));

function parsedValue(text) {
  try {
    const value = JSON.parse(text);
    return ["string", "number", "boolean"].includes(typeof value) ? value : undefined;
  } catch {
    return undefined;
  }
}
