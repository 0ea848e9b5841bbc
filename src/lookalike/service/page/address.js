// What is asked, as one plain object, and the address that says so: whoever opens it sees the same.

export const NOTHING = Object.freeze({
  collection: null, // null: the service's own choice
  id: null, // the query is an item …
  upload: null, // … or a picture that this browser remembers, by its digest
  crop: null, // [left, top, right, bottom] in 0 to 1
  liked: [], // ids
  disliked: [],
  k: 20,
  least: 0, // of the score; 0 leaves all in
  where: "",
  values: Object.create(null), // field → values, of which an item has one
  ranges: Object.create(null), // field → [low or null, high or null]
  collapse: false,
  perGroup: false,
  category: false,
});

const FLAGS = { collapse: "fold", perGroup: "group", category: "guess" };

// A field may be called `constructor` or `__proto__`: what is looked up by field inherits nothing.
const named = (entries = []) => Object.assign(Object.create(null), Object.fromEntries(entries));

/** `narrowing` (values or ranges) with another one for `field`; one of nothing is left out. */
export const narrowedBy = (narrowing, field, one) =>
  named([...Object.entries(narrowing).filter(([name]) => name !== field), [field, one]]
    .filter(([, ends]) => ends.some((value) => value !== null)));

/** The state that an address' query string tells of; what makes no sense is passed over. */
export function read(search) {
  const said = new URLSearchParams(search);
  const state = { ...NOTHING, values: named(), ranges: named() };
  state.collection = said.get("c");
  state.id = said.get("id");
  state.upload = state.id === null ? said.get("up") : null;
  state.liked = said.getAll("more");
  state.disliked = said.getAll("less");
  state.where = said.get("where") ?? "";
  const k = Number(said.get("k"));
  if (Number.isInteger(k) && k >= 1 && k <= 50) state.k = k;
  const least = Number(said.get("least"));
  if (least > 0 && least <= 1) state.least = least;
  const crop = (said.get("crop") ?? "").split(",").map(Number);
  if (crop.length === 4 && crop.every((one) => one >= 0 && one <= 1) && crop[0] < crop[2] && crop[1] < crop[3])
    state.crop = crop;
  for (const [name, flag] of Object.entries(FLAGS)) state[name] = said.get(flag) === "1";
  for (const [name, value] of said) {
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

/** The query string of a state, without what goes without saying. */
export function written(state) {
  const said = new URLSearchParams();
  if (state.collection) said.set("c", state.collection);
  if (state.id !== null) said.set("id", state.id);
  if (state.upload !== null) said.set("up", state.upload);
  if (state.crop) said.set("crop", state.crop.map((one) => +one.toFixed(4)).join(","));
  for (const one of state.liked) said.append("more", one);
  for (const one of state.disliked) said.append("less", one);
  if (state.k !== NOTHING.k) said.set("k", state.k);
  if (state.least) said.set("least", state.least);
  if (state.where) said.set("where", state.where);
  for (const [name, flag] of Object.entries(FLAGS)) if (state[name]) said.set(flag, "1");
  for (const [field, values] of Object.entries(state.values))
    for (const value of values) said.append(`in.${field}`, JSON.stringify(value));
  for (const [field, [low, high]] of Object.entries(state.ranges)) said.append(`of.${field}`, `${low ?? ""}..${high ?? ""}`);
  return `?${said}`;
}

/** Whether there is something to search with. */
export const asks = (state) => state.id !== null || state.upload !== null || state.liked.length > 0;

/** How many things narrow the answers. */
export const narrowings = (state) =>
  Object.values(state.values).reduce((sum, values) => sum + values.length, 0) +
  Object.keys(state.ranges).length + (state.where.trim() ? 1 : 0);

/** The filter that all of a state's narrowings make; without those of the field `but`. */
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

/** Where in a person's own part of the filter the place `at` of the whole filter is, or null. */
export function placeIn(state, at) {
  const from = filter({ ...state, where: "" }) ? filter(state).length - state.where.length - 1 : 0;
  return Number.isInteger(at) && at >= from && state.where.trim() ? Math.min(at - from, state.where.length) : null;
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
