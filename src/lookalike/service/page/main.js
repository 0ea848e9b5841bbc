// The page: one state, which the address tells; everything that is done makes a new one.

import * as address from "./address.js";
import { adding } from "./adding.js";
import { cards, goingOn, replaced, rowOf, waiting, walking } from "./answers.js";
import * as api from "./api.js";
import { cropping } from "./crop.js";
import * as details from "./details.js";
import { $, icon, make, number, settled, several } from "./elements.js";
import * as facets from "./facets.js";
import "./frame.js";
import { giving } from "./giving.js";
import { recall, remember } from "./remembered.js";

let state = address.read(location.search);
let served = { collections: [], default: null };
let hits = []; // what was answered last
let asking = null; // AbortController of the search that is under way …
let counting = null; // … and of the counts beside it
let query = null; // { src, name, of } of what is searched with; of: its digest, where it was given
let mayWrite = false;
const known = new Map(); // collection → what it can be narrowed down by

const MOST_BYTES = 256e6; // the service has a limit of its own; this one keeps a film out of the browser's memory

const collection = () => state.collection ?? served.default ?? (served.collections.find((one) => !one.error) ?? served.collections[0])?.name ?? null;

// -- state ------------------------------------------------------------------------------------

/** Change what is asked. `push` makes a step that the browser's back button takes back. */
function change(part, { push = true } = {}) {
  state = { ...state, ...part };
  history[push ? "pushState" : "replaceState"](null, "", address.written(state));
  return show();
}

addEventListener("popstate", () => {
  const before = address.written(state);
  state = address.read(location.search);
  if (address.written(state) !== before) show(); // else only the place on the page is another one
});

/** Bring the page in line with the state. */
async function show() {
  const asks = address.asks(state);
  $("main").dataset.view = asks ? "answers" : "start";
  $("k").value = state.k;
  $("k-says").textContent = state.k;
  $("least").value = Math.round(state.least * 100);
  $("least-says").textContent = state.least ? state.least.toFixed(2) : "any";
  $("where").value = state.where;
  $("collapse").checked = state.collapse;
  $("per-group").checked = state.perGroup;
  $("category").checked = state.category;
  $("collection").value = collection() ?? "";
  const narrowed = address.narrowings(state);
  $("narrowed").hidden = $("clear").hidden = !narrowed;
  $("narrowed").textContent = narrowed;
  filterFault(null);
  showTastes();
  if (collection() === null) return nothingServed();
  if (!asks) return start();
  await Promise.all([ask(), showFacets()]);
}

/** A signal for what is asked now; what was asked before is given up. */
function asked() {
  asking?.abort();
  asking = new AbortController();
  return asking.signal;
}

// -- start ------------------------------------------------------------------------------------

async function start() {
  const signal = asked();
  counting?.abort();
  showQuery(null);
  document.title = "lookalike";
  empty();
  try {
    const found = await api.items(collection(), 24, signal);
    fill(found.items);
    counted(collection(), found.total);
    if (found.total) status(make("span", {}, "Or start from one of ", make("b", {}, several(found.total, "picture"))));
    else {
      status();
      empty("Nothing here yet", `“${collection()}” has no pictures.`, mayWrite ? ["Add pictures", () => openAdding(), true] : null);
    }
  } catch (error) {
    if (!signal.aborted) failed(error);
  }
}

function nothingServed() {
  asked();
  showQuery(null);
  fill([]);
  if (!mayWrite) return empty("No collection yet", "This service has no collection. `lookalike index FOLDER -c shop` makes one; then load this page again.");
  empty("No collection yet", "A collection holds the pictures that are searched. Begin one, and drop a folder of pictures on it.", ["Begin a collection", async () => {
    try {
      await api.begin("pictures");
      await begin();
      openAdding();
    } catch (error) {
      failed(error);
    }
  }, true]);
}

// -- asking -----------------------------------------------------------------------------------

async function ask() {
  const signal = asked();
  document.body.classList.add("wait");
  $("grid").setAttribute("aria-busy", "true");
  empty();
  if (!$("grid").children.length) $("grid").replaceChildren(...waiting(12));
  try {
    const picture = state.upload === null ? null : await recall(state.upload);
    if (signal.aborted) return;
    showQuery(picture);
    if (state.upload !== null && !picture) return elsewhere();
    const found = await api.search(collection(), said(), picture, signal);
    if (!signal.aborted) answered(found);
  } catch (error) {
    if (!signal.aborted) failed(error);
  } finally {
    if (asking.signal === signal) {
      document.body.classList.remove("wait");
      $("grid").removeAttribute("aria-busy");
    }
  }
}

/** The state as the service wants to hear it. */
function said() {
  const query = { k: state.k };
  if (state.id !== null) query.id = state.id;
  // Whoever hands in a picture wants to know that it is here; whoever goes on from one does not.
  if (state.upload !== null && !state.liked.length && !state.disliked.length) query.include_self = true;
  if (state.crop) query.crop = state.crop;
  if (state.liked.length) query.positive = state.liked;
  if (state.disliked.length) query.negative = state.disliked;
  const where = address.filter(state);
  if (where) query.where = where;
  if (state.collapse) query.collapse = true;
  if (state.perGroup) query.per_group = true;
  if (state.category) query.category = "auto";
  return query;
}

/** Show `items`; the focus stays where it was. */
function fill(items) {
  hits = items;
  const row = rowOf(items);
  $("grid").style.setProperty("--small", row === null ? "999px" : `${row}px`);
  replaced($("grid"), cards(items, state, collection(), acts));
}

function answered(found) {
  fill(found.hits);
  const told = [make("span", { id: "shown" }), make("span", {}, `${several(found.collection.count, "picture")} searched in ${Math.max(1, Math.round(found.took_ms))} ms`)];
  if (found.category) told.push(make("span", {}, guessed(found.category)));
  status(...told);
  cut();
  if (hits.length) return;
  const narrowed = address.narrowings(state);
  empty("Nothing to show", narrowed ? "No picture meets all that the answers were narrowed down to." : "The collection has no other picture.",
    narrowed ? ["Clear all filters", clearAll] : null);
}

function guessed({ scope, used, reason, predicted: [best] }) {
  const sure = best ? ` (${best.label} ${Math.round(best.probability * 100)} %)` : "";
  return scope === "category" ? `Looks like ${used.join(", ")}${sure}` : `In all categories: ${reason}${sure}`;
}

/** Hide what is less alike than the slider says; nothing is asked again. */
function cut() {
  if (!$("shown")) return; // no answers stand there
  let shown = 0;
  for (const [at, one] of [...$("grid").children].entries()) {
    one.hidden = state.least > 0 && hits[at].score < state.least; // "any" means those below 0 too
    shown += one.hidden ? 0 : 1;
  }
  $("shown").replaceChildren(make("b", {}, shown < hits.length ? `${shown} of ${several(hits.length, "answer")}` : several(hits.length, "answer")));
  if (!hits.length) return;
  if (shown) empty();
  else empty("Nothing here is that alike", `The most similar picture reaches ${hits[0].score.toFixed(2)}; the least that you want is ${state.least.toFixed(2)}.`,
    ["Show it all the same", () => change({ least: 0 })]);
}

function elsewhere() {
  fill([]);
  status();
  empty("This search began with a picture on another device", "A picture that somebody searches with stays in their browser, so this address cannot bring it along. Give the picture, and the rest is as it was.",
    ["Choose the picture", choose]);
}

const FAULTS = { // by code: what happened, and what to do where the service's own words do not say it
  "no-such-item": ["That picture is not here any more", "It may have been removed since."],
  "no-such-collection": ["That collection is not here any more"],
  "not-a-picture": ["That is not a picture", "Choose a JPEG, PNG, WebP or another kind of picture."],
  "broken-picture": ["That picture is damaged"],
  "picture-too-large": ["That picture is too large"],
  "too-large": ["That picture is too large"],
  "key-needed": ["This service asks for a key", "Ask whoever runs it, then try again."],
  busy: ["The service is busy", "It has more to do than it can take. Try again in a moment."],
  away: ["The service does not answer"],
};

function failed(error) {
  if (error.name === "AbortError") return;
  if (error.code === "bad-filter") {
    filterFault(error);
    if ($("shown")) return status(make("span", {}, "The filter cannot be understood; these are the answers from before it."));
    fill([]);
    return empty("The filter cannot be understood", error.message, ["Clear all filters", clearAll], true);
  }
  fill([]);
  status();
  if (error.code === "no-such-item" && state.upload === null) $("given").hidden = true;
  const [title, text = error.message] = FAULTS[error.code] ?? ["That did not work"];
  empty(title, text, error.code === "no-such-item" ? ["Start anew", anew] : ["Try again", begin], true);
}

/** Say beside the filter what is wrong with it; null: nothing. */
function filterFault(error) {
  const at = error && address.placeIn(state, error.at);
  $("where-says").textContent = error ? error.message + (at === null ? "" : `, at character ${at + 1}`) : "";
  if (!error) return $("where").removeAttribute("aria-invalid");
  $("where").setAttribute("aria-invalid", "true");
  $("tune").open = true;
  $("where-says").scrollIntoView({ block: "nearest" });
  if (at !== null && document.activeElement === $("where")) $("where").setSelectionRange(at, state.where.length);
}

// -- the query --------------------------------------------------------------------------------

const nudged = settled((crop) => change({ crop }, { push: false }), 250);
const showCrop = cropping($("frame"), $("crop"), { drawn: (crop) => change({ crop }), nudged });

/** Show what is searched with: `picture` where one was given, else the item of the state, or nothing. */
function showQuery(picture) {
  const before = query;
  if (state.id !== null) query = { src: api.thumbnailOf(collection(), state.id, 1200), name: state.id, of: null };
  else if (picture === null) query = null;
  else if (before?.of !== state.upload) query = { src: URL.createObjectURL(picture), name: picture.name || "your picture", of: state.upload };
  if (before?.of && before.of !== query?.of) URL.revokeObjectURL(before.src);
  $("given").hidden = query === null;
  if (query === null) return;
  if ($("picture").getAttribute("src") !== query.src) {
    $("frame").classList.remove("unseen");
    $("part").hidden = false;
    $("picture").src = query.src;
  }
  $("what").textContent = query.name.split("/").pop();
  $("what").title = query.name;
  document.title = `${$("what").textContent} · lookalike`;
  cutting(state.crop !== null);
  showCrop(state.crop);
}

const SMALL = 160; // pixels, below which a picture of a query is shown larger than it is

$("picture").addEventListener("load", () => {
  const { naturalWidth: width, naturalHeight: height } = $("picture");
  const up = Math.min(2, SMALL / Math.max(width, height, 1));
  $("picture").style.width = up > 1 ? `${width * up}px` : "";
});
$("picture").addEventListener("error", () => { // TIFF, HEIC, or a file that is gone
  $("frame").classList.add("unseen");
  $("part").hidden = true;
});

function cutting(on) {
  $("frame").classList.toggle("cutting", on);
  $("part").setAttribute("aria-pressed", String(on));
}

$("part").addEventListener("click", () => {
  const on = !$("frame").classList.contains("cutting");
  cutting(on);
  if (!on) { if (state.crop) change({ crop: null }); return; }
  change({ crop: [0.2, 0.2, 0.8, 0.8] });
  $("crop").focus();
});

async function searchWith(file) {
  try {
    if (file.size > MOST_BYTES) throw new api.Problem(0, { code: "too-large", detail: `“${file.name}” has ${number(Math.round(file.size / 1e6))} MB.` });
    const upload = await remember(file);
    scrollTo({ top: 0 });
    await change({ upload, id: null, crop: null, liked: [], disliked: [] });
  } catch (error) { // the file went away, or is not a picture by its size
    asked();
    $("main").dataset.view = "start";
    failed(error);
  }
}

// -- answers ----------------------------------------------------------------------------------

walking($("grid"));

function acts(what, hit) {
  if (what === "go") { scrollTo({ top: 0 }); change(goingOn(state, hit.id)); return; }
  if (what === "compare") { details.show(hit, query, state, acts); return; }
  const [to, from] = what === "like" ? ["liked", "disliked"] : ["disliked", "liked"];
  const had = state[to].includes(hit.id);
  change({
    [to]: had ? state[to].filter((one) => one !== hit.id) : [...state[to], hit.id],
    [from]: state[from].filter((one) => one !== hit.id),
  });
}

function showTastes() {
  $("tastes").hidden = !state.liked.length && !state.disliked.length;
  for (const name of ["liked", "disliked"]) {
    $(name).hidden = !state[name].length;
    $(name).querySelector("ul").replaceChildren(...state[name].map((id) => make("li", {},
      make("img", { src: api.thumbnailOf(collection(), id, 120), alt: "", title: id }),
      make("button", { type: "button", "aria-label": `Leave out ${id.split("/").pop()}`, title: "Leave it out", onclick: () => change({ [name]: state[name].filter((one) => one !== id) }) }, icon("close")))));
  }
}

function status(...told) { $("status").replaceChildren(...told); }

/** Say something in the place of the answers; `action` is [words, work, whether it is the first thing to do]. */
function empty(title = "", text = "", action = null, bad = false) {
  $("empty").hidden = !title;
  $("empty").classList.toggle("bad", bad);
  $("empty").replaceChildren(...(title ? [
    make("h2", {}, title), make("p.quiet", {}, text),
    ...(action ? [make(action[2] ? "button.main" : "button", { type: "button", onclick: action[1] }, action[0])] : []),
  ] : []));
}

// -- narrowing down ---------------------------------------------------------------------------

$("k").addEventListener("input", () => { $("k-says").textContent = $("k").value; });
$("k").addEventListener("change", settled(() => change({ k: Number($("k").value) }, { push: false }), 150));
const settle = settled(() => history.replaceState(null, "", address.written(state)), 250);
$("least").addEventListener("input", () => {
  state.least = Number($("least").value) / 100;
  $("least-says").textContent = state.least ? state.least.toFixed(2) : "any";
  cut();
  settle();
});
for (const [id, name] of [["collapse", "collapse"], ["per-group", "perGroup"], ["category", "category"]])
  $(id).addEventListener("change", () => change({ [name]: $(id).checked }));
$("where").addEventListener("change", () => change({ where: $("where").value }));
$("clear").addEventListener("click", clearAll);
function clearAll() { change({ where: "", values: address.NOTHING.values, ranges: address.NOTHING.ranges }); }

async function showFacets() {
  counting?.abort();
  const { signal } = (counting = new AbortController());
  const of = collection();
  try {
    if (!known.has(of)) {
      const stats = await api.stats(of, signal);
      known.set(of, { groups: stats.groups, labels: stats.distinct_labels, ...facets.offered(stats) });
    }
    const offered = known.get(of);
    $("per-group").closest("label").hidden = !offered.groups;
    $("category-row").hidden = !offered.labels;
    const counts = offered.ticked.length ? await facets.counted(of, offered.ticked, state, signal) : [];
    if (signal.aborted) return;
    const names = address.narrowings(state) ? [] : facets.names(counts);
    offered.ticked = offered.ticked.filter((field) => !names.includes(field));
    facets.drawn($("facets"), counts.filter((one) => !names.includes(one.field)), offered.ranged, state, (field, values, range) => change(values
      ? { values: address.narrowedBy(state.values, field, values) }
      : { ranges: address.narrowedBy(state.ranges, field, range) }));
  } catch (error) { // the answers say what is wrong; the counts are quiet about a service that is away
    if (!signal.aborted && !["bad-filter", "away"].includes(error.code)) $("facets").replaceChildren(make("p.quiet.name", {}, error.message));
  }
}

// -- adding, keys -----------------------------------------------------------------------------

const openAdding = adding(collection, (to) => { known.delete(to); begin(); });
$("add").addEventListener("click", () => openAdding());
const choose = giving(searchWith, () => (mayWrite && collection() !== null ? openAdding : null));

addEventListener("keydown", (event) => {
  const writing = event.target.closest("input:not([type=checkbox]):not([type=range]), select, textarea, dialog");
  if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
  const work = {
    "/": () => { $("tune").open = true; $("where").focus(); },
    u: choose,
    "?": () => $("shortcuts").showModal(),
  }[event.key];
  if (!work) return;
  event.preventDefault();
  work();
});
$("keys").addEventListener("click", () => $("shortcuts").showModal());

// -- begin ------------------------------------------------------------------------------------

$("collection").addEventListener("change", () => {
  $("facets").replaceChildren();
  const { k, upload } = state;
  state = { ...address.NOTHING, k };
  change({ collection: $("collection").value, upload });
});

function anew() {
  const now = state.collection;
  state = { ...address.NOTHING };
  change({ collection: now });
}
document.querySelector("[data-go]").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  anew();
});

/** Tell how many pictures the collection of a name has. */
function counted(name, count) {
  for (const one of $("collection").options) if (one.value === name) one.textContent = `${name} (${count === null ? "away" : number(count)})`;
}

/** Ask what there is, and show what the state asks for. */
async function begin() {
  try {
    const [found, access] = await Promise.all([api.collections(), api.access()]);
    served = found;
    mayWrite = access.write;
    $("collection").replaceChildren(...served.collections.map((one) => make("option", { value: one.name })));
    for (const one of served.collections) counted(one.name, one.count);
    $("collection").closest("label").hidden = served.collections.length < 2;
    $("add").hidden = !mayWrite || !served.collections.length;
    await show();
  } catch (error) {
    failed(error);
  }
}

if (matchMedia("(max-width: 56rem)").matches) $("tune").open = false;
begin();
