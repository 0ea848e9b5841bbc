// The page: one state, which the address tells; everything that is done makes a new one.

import * as address from "./address.js";
import { adding, chosen, dropped, pictures } from "./adding.js";
import { cards, goingOn, waiting, walking } from "./answers.js";
import * as api from "./api.js";
import { cropping } from "./crop.js";
import * as details from "./details.js";
import { $, icon, make, number, settled, several } from "./elements.js";
import * as facets from "./facets.js";
import { recall, remember } from "./remembered.js";

let state = address.read(location.search);
let served = { collections: [], default: null };
let hits = []; // what was answered last
let asking = null; // AbortController of the search that is under way
let query = null; // { src, name } of what is searched with
const known = new Map(); // collection → its stats

const collection = () => state.collection ?? served.default ?? served.collections[0]?.name ?? null;

// -- state ------------------------------------------------------------------------------------

/** Change what is asked. `push` makes a step that the browser's back button takes back. */
function change(part, { push = true } = {}) {
  state = { ...state, ...part };
  history[push ? "pushState" : "replaceState"](null, "", address.written(state));
  return show();
}

addEventListener("popstate", () => {
  state = address.read(location.search);
  show();
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
  if (collection() === null) return nothingServed();
  showTastes();
  if (!asks) return start();
  await Promise.all([ask(), showFacets()]);
}

// -- start ------------------------------------------------------------------------------------

async function start() {
  asking?.abort();
  query = null;
  $("given").hidden = true;
  document.title = "lookalike";
  empty();
  try {
    const found = await api.items(collection(), 24);
    if (address.asks(state)) return;
    hits = found.items;
    $("grid").replaceChildren(...cards(hits, state, collection(), acts));
    if (found.total) status(make("span", {}, "or start from one of ", make("b", {}, several(found.total, "picture"))));
    else empty("Nothing here yet", `“${collection()}” has no pictures.`, canAdd() ? ["Add pictures", () => openAdding()] : null);
  } catch (error) {
    failed(error);
  }
}

function nothingServed() {
  $("grid").replaceChildren();
  empty("No collection yet", "This service has no collection. `lookalike index FOLDER -c shop` makes one; then load this page again.");
}

// -- asking -----------------------------------------------------------------------------------

async function ask() {
  asking?.abort();
  const mine = (asking = new AbortController());
  document.body.classList.add("wait");
  empty();
  if (!$("grid").children.length) $("grid").replaceChildren(...waiting(12));
  try {
    const picture = state.upload === null ? null : await recall(state.upload);
    await showQuery(picture);
    if (state.upload !== null && !picture) return elsewhere();
    const found = await api.search(collection(), asked(), picture, mine.signal);
    if (mine.signal.aborted) return;
    hits = found.hits;
    answered(found);
  } catch (error) {
    if (!mine.signal.aborted) failed(error);
  } finally {
    if (asking === mine) document.body.classList.remove("wait");
  }
}

function asked() {
  const said = { k: state.k };
  if (state.id !== null) said.id = state.id;
  if (state.crop) said.crop = state.crop;
  if (state.liked.length) said.positive = state.liked;
  if (state.disliked.length) said.negative = state.disliked;
  const where = address.filter(state);
  if (where) said.where = where;
  if (state.collapse) said.collapse = true;
  if (state.perGroup) said.per_group = true;
  if (state.category) said.category = "auto";
  return said;
}

function answered(found) {
  $("where-says").textContent = "";
  $("where").removeAttribute("aria-invalid");
  $("grid").replaceChildren(...cards(hits, state, collection(), acts));
  $("category-row").hidden = !known.get(collection())?.distinct_labels;
  cut();
  const guess = found.category;
  const told = [make("span", {}, make("b", {}, several(hits.length, "answer")), ` of ${several(found.collection.count, "picture")} in ${Math.max(1, Math.round(found.took_ms))} ms`)];
  if (guess) {
    const [best] = guess.predicted;
    told.push(make("span", {}, guess.scope === "category"
      ? `looks like ${guess.used.join(", ")}`
      : `category not used: ${guess.reason}`, best ? ` (${best.label} ${Math.round(best.probability * 100)} %)` : ""));
  }
  status(...told);
  if (!hits.length) {
    const narrowed = address.narrowings(state);
    empty("Nothing to show", narrowed ? "No picture meets all that the answers were narrowed down to." : "The collection has no other picture.",
      narrowed ? ["Clear all filters", clearAll] : null);
  }
}

/** Hide what is less alike than the slider says; nothing is asked again. */
function cut() {
  let shown = 0;
  const all = [...$("grid").querySelectorAll(".card:not(.waiting)")];
  for (const [at, one] of all.entries()) {
    one.hidden = (hits[at]?.score ?? 1) < state.least;
    shown += one.hidden ? 0 : 1;
  }
  if (all.length && !shown && address.asks(state)) {
    const best = hits[0].score;
    empty("Nothing here is that alike", `The most similar picture reaches ${best.toFixed(2)}; the least that you want is ${state.least.toFixed(2)}.`,
      ["Show it all the same", () => change({ least: 0 })]);
  } else if (all.length) empty();
}

function elsewhere() {
  hits = [];
  $("grid").replaceChildren();
  status();
  empty("This search began with a picture on another device", "A picture that somebody searches with stays in their browser, so this address cannot bring it along. Give the picture, and the rest is as it was.",
    ["Choose the picture", () => $("file").click()]);
}

function failed(error) {
  if (error.name === "AbortError") return;
  hits = [];
  $("grid").replaceChildren();
  status();
  if (error.code === "bad-filter") {
    $("where-says").textContent = error.message + (state.where && Number.isInteger(error.at) ? ` (at character ${error.at + 1})` : "");
    $("where").setAttribute("aria-invalid", "true");
  }
  const what = {
    "no-such-item": ["That picture is not here any more", "It may have been removed since."],
    "not-a-picture": ["That is not a picture", "Choose a JPEG, PNG, WebP or another kind of picture."],
    "picture-too-large": ["That picture is too large", error.message],
  }[error.code] ?? ["That did not work", error.message];
  empty(what[0], what[1], ["Try again", () => show()], true);
}

// -- the query --------------------------------------------------------------------------------

const showCrop = cropping($("frame"), $("crop"), (box) => change({ crop: box }));

async function showQuery(picture) {
  const given = state.id !== null || picture !== null;
  $("given").hidden = !given;
  if (!given) { query = null; return; }
  if (query?.src.startsWith("blob:") && query.of !== state.upload) URL.revokeObjectURL(query.src);
  if (state.id !== null) query = { src: api.thumbnailOf(collection(), state.id, 1200), name: state.id, of: null };
  else if (query?.of !== state.upload) query = { src: URL.createObjectURL(picture), name: picture.name ?? "your picture", of: state.upload };
  if ($("picture").getAttribute("src") !== query.src) $("picture").src = query.src;
  $("what").textContent = query.name;
  document.title = `${query.name} · lookalike`;
  cutting(state.crop !== null);
  showCrop(state.crop);
}

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

async function searchWith(blob) {
  const upload = await remember(blob);
  scrollTo({ top: 0 });
  await change({ upload, id: null, crop: null, liked: [], disliked: [] });
}

const choose = () => $("file").click();
$("choose").addEventListener("click", choose);
$("other").addEventListener("click", choose);
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) searchWith(file);
});

addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (!file) return;
  event.preventDefault();
  searchWith(file);
});

let over = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
const dragging = (on) => { $("over").hidden = !on; document.body.classList.toggle("dragging", on); };
addEventListener("dragenter", (event) => { if (carriesFiles(event)) { over += 1; dragging(true); } });
addEventListener("dragleave", (event) => { if (carriesFiles(event) && --over <= 0) { over = 0; dragging(false); } });
addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
addEventListener("drop", async (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  over = 0;
  dragging(false);
  const { folder, files } = await dropped(event.dataTransfer);
  if (!folder && files.length === 1) searchWith(files[0][1]);
  else if (canAdd()) openAdding(files);
  else if (pictures(files).length) searchWith(pictures(files)[0][1]);
});

$("shoot").addEventListener("click", async () => {
  if (!navigator.mediaDevices?.getUserMedia) return fromPhone();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
  } catch {
    return fromPhone();
  }
  const video = $("video");
  video.srcObject = stream;
  $("camera").showModal();
  $("camera").addEventListener("close", () => stream.getTracks().forEach((track) => track.stop()), { once: true });
  $("snap").onclick = () => {
    const drawn = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    drawn.getContext("2d").drawImage(video, 0, 0);
    drawn.toBlob((blob) => { $("camera").close(); if (blob) searchWith(blob); }, "image/jpeg", 0.92);
  };
});

/** A phone's own camera, where the page may not open it; elsewhere a choice of files. */
function fromPhone() {
  $("file").setAttribute("capture", "environment");
  choose();
  $("file").removeAttribute("capture");
}

// -- answers ----------------------------------------------------------------------------------

walking($("grid"));

function acts(what, hit) {
  if (what === "go") { scrollTo({ top: 0 }); change(goingOn(state, hit.id)); return; }
  if (what === "compare") { details.show(collection(), hit, query, acts); return; }
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
      make("img", { src: api.thumbnailOf(collection(), id, 120), alt: id, title: id }),
      make("button", { type: "button", "aria-label": `Leave out ${id}`, onclick: () => change({ [name]: state[name].filter((one) => one !== id) }) }, icon("close")))));
  }
}

function status(...told) { $("status").replaceChildren(...told); }

function empty(title = "", text = "", action = null, bad = false) {
  $("empty").hidden = !title;
  $("empty").classList.toggle("bad", bad);
  $("empty").replaceChildren(...(title ? [
    make("h2", {}, title), make("p.quiet", {}, text),
    ...(action ? [make("button", { type: "button", onclick: action[1] }, action[0])] : []),
  ] : []));
}

// -- narrowing down ---------------------------------------------------------------------------

$("k").addEventListener("input", () => { $("k-says").textContent = $("k").value; });
$("k").addEventListener("change", () => change({ k: Number($("k").value) }, { push: false }));
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
function clearAll() { change({ where: "", values: {}, ranges: {} }); }

let counting = null;
async function showFacets() {
  counting?.abort();
  const mine = (counting = new AbortController());
  try {
    if (!known.has(collection())) known.set(collection(), await api.stats(collection(), mine.signal));
    const stats = known.get(collection());
    const { ticked, ranged } = facets.offered(stats);
    $("per-group").closest("label").hidden = !stats.groups;
    $("category-row").hidden = !stats.distinct_labels;
    const counts = ticked.length ? await facets.counted(collection(), ticked, state, mine.signal) : [];
    if (mine.signal.aborted) return;
    facets.drawn($("facets"), counts, ranged, state, (field, values, range) =>
      change(values ? { values: without({ ...state.values, [field]: values }) } : { ranges: without({ ...state.ranges, [field]: range }) }));
  } catch (error) {
    if (!mine.signal.aborted && error.code !== "bad-filter") $("facets").replaceChildren(make("p.quiet.name", {}, error.message));
  }
}

/** Without the fields that narrow nothing. */
const without = (narrowing) => Object.fromEntries(Object.entries(narrowing).filter(([, one]) => one.some((value) => value !== null)));

// -- adding, keys, theme ----------------------------------------------------------------------

const canAdd = () => !$("add").hidden;
const openAdding = adding(collection, () => { known.delete(collection()); refresh().then(show); });
$("add").addEventListener("click", () => openAdding());

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
for (const dialog of document.querySelectorAll("dialog"))
  dialog.addEventListener("click", (event) => { if (event.target === dialog && dialog.id !== "unlock") dialog.close(); });

function themed() {
  const root = document.documentElement;
  const dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  $("theme").setAttribute("aria-pressed", String(dark));
  $("theme").replaceChildren(icon(dark ? "sun" : "moon"));
  return dark;
}
$("theme").addEventListener("click", () => {
  const theme = themed() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  themed();
});

api.whenLocked(() => new Promise((resolve) => {
  if ($("unlock").open) return resolve(false);
  $("unlock").showModal();
  $("unlock").addEventListener("close", () => resolve($("unlock").returnValue === "open"), { once: true });
  $("unlock-form").onsubmit = async (event) => {
    event.preventDefault();
    if (await api.unlock($("key").value)) $("unlock").close("open");
    else $("unlock-says").textContent = "That is not the key. Ask whoever runs this service.";
  };
}));

// -- begin ------------------------------------------------------------------------------------

$("collection").addEventListener("change", () => {
  known.delete($("collection").value);
  $("facets").replaceChildren();
  const upload = state.upload;
  state = { ...address.read(""), k: state.k };
  change({ collection: $("collection").value, upload });
});
document.querySelector("[data-go]").addEventListener("click", (event) => {
  event.preventDefault();
  const now = state.collection;
  state = address.read("");
  change({ collection: now });
});

async function refresh() {
  const [found, access] = await Promise.all([api.collections(), api.access()]);
  served = found;
  $("collection").replaceChildren(...served.collections.map((one) => make("option", { value: one.name }, `${one.name} (${number(one.count)})`)));
  $("collection").closest("label").hidden = served.collections.length < 2;
  $("add").hidden = !access.write || !served.collections.length;
}

themed();
if (matchMedia("(max-width: 56rem)").matches) $("tune").open = false;
try {
  await refresh();
  await show();
} catch (error) {
  failed(error);
}
