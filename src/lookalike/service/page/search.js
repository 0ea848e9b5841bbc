// Searches, and the start page.

import * as address from "./address.js";
import * as api from "./api.js";
import { showCount } from "./collections.js";
import { $, make, several } from "./elements.js";
import * as filters from "./filters.js";
import { describeError, errorNotice, notice, status } from "./notices.js";
import { FRESH } from "./cards.js";
import * as query from "./query.js";
import { hold, load, store } from "./image-store.js";
import * as parts from "./parts.js";
import * as results from "./results.js";
import { shrink } from "./shrink-image.js";
import { change, collection, patchState, reset, served, state, updateAddress } from "./state.js";

const MOST_BYTES = 256e6; // the service has its own limit; this one keeps a video out of the browser's memory
const SAMPLE = 24; // images on the start page

let searching = null; // AbortController of the current search
let shown = null; // { state, image } of the results that are shown
let actions = {}; // what else the page can do

/** Set what messages offer: `load` the page again, `choose` an image, `add` images; and `present`, which shows the state. */
export const setActions = (given) => { actions = given; };

/** Cancel the previous request, and return the signal of a new one. */
function newSignal() {
  searching?.abort();
  searching = new AbortController();
  return searching.signal;
}

/** Show some images to start from. */
export async function showStart() {
  const signal = newSignal();
  filters.stop();
  query.show(null);
  document.title = "lookalike";
  notice();
  results.showLoading("");
  try {
    const today = Math.floor(Date.now() / 864e5); // other images tomorrow, the same ones all day
    const found = await api.sample(collection(), SAMPLE, today, signal);
    results.fill(found.items);
    showCount(collection(), found.total);
    if (found.total && state.disliked.length) status(make("b", {}, `Results will be less like ${several(state.disliked.length, "image")}`), make("span", {}, "Now choose what they should be like: one of these, an image or words"));
    else if (found.total) status(make("b", {}, "Or start with one of these"), make("span", {}, several(found.total, "image")));
    else {
      status();
      notice("No images yet", `The collection “${collection()}” is empty.`, served.mayWrite ? ["Add images", () => actions.add(), true] : null);
    }
  } catch (error) {
    if (!signal.aborted) showError(error);
  } finally {
    if (searching.signal === signal) results.hideLoading();
  }
}

/** Say that the service has no collection, and offer to create one. */
export function showNoCollection() {
  newSignal();
  query.show(null);
  results.fill([]);
  if (!served.mayWrite) return notice("No collection yet", "This service has no collections. Create one with `lookalike index FOLDER -c shop`, then reload this page.");
  notice("No collection yet", "A collection holds the images that you search. Create one, then drop a folder of images on it.", ["Create collection", async () => {
    try {
      await api.createCollection("images");
      await actions.load();
      actions.add();
    } catch (error) {
      showError(error);
    }
  }, true]);
}

/** Run the search that the state describes, and show the results. */
export async function runSearch() {
  const signal = newSignal();
  results.showLoading();
  notice();
  try {
    const digests = parts.uploads(state);
    const images = digests.length ? await Promise.all(digests.map(load)) : []; // an item is shown at once
    if (signal.aborted) return;
    query.show(state.upload === null ? null : images[0]);
    if (images.includes(null)) return showImageElsewhere();
    const found = await api.search(collection(), queryOf(state), images, signal);
    if (signal.aborted) return;
    shown = { state, image: state.upload === null ? null : images[0] };
    showFound(found);
    for (const digest of digests) store(digest);
  } catch (error) {
    if (signal.aborted) return;
    if (isOfNewImage(error)) returnToShown(error);
    else showError(error);
  } finally {
    if (searching.signal === signal) results.hideLoading();
  }
}

/** Return whether an error is of an image that was chosen while the results of another query are shown. */
const isOfNewImage = (error) =>
  OF_THE_QUERY.includes(error.code) && shown !== null && results.hasResults() &&
  parts.uploads(state).some((digest) => !parts.uploads(shown.state).includes(digest));

/** Keep the results that are shown, and say why there are no others. */
function returnToShown(error) {
  patchState(shown.state);
  updateAddress();
  actions.present();
  query.show(shown.image);
  const [title, text] = describeError(error);
  status(make("b.bad", { role: "alert" }, `${title}.`), make("span", {}, `${text} These are still the previous results.`));
}

/** Return a state as the query that the service takes. */
export function queryOf(state) {
  const query = { k: state.k };
  const mixed = parts.areSeveral(state);
  if (mixed) query.parts = parts.parts(state);
  else if (state.id !== null) query.id = state.id;
  if (state.mix !== address.EMPTY.mix) query.mix = state.mix;
  if (state.words.trim()) {
    if (!mixed) query.text = state.words;
    if (state.textMode !== address.EMPTY.textMode) query.text_mode = state.textMode;
  }
  if (state.crop && !mixed) query.crop = state.crop;
  if (state.liked.length) query.positive = state.liked;
  if (state.disliked.length) query.negative = state.disliked;
  const where = address.filter(state);
  if (where) query.where = where;
  if (state.expand) query.expand = state.expand;
  if (state.diversity) query.diversity = state.diversity;
  if (state.anyOrientation && address.canTurn(state)) query.any_orientation = true;
  if (state.collapse) query.collapse = true;
  if (state.perGroup) query.per_group = true;
  if (state.includeBlank) query.include_blank = true;
  if (state.category) query.category = "auto";
  return query;
}

function showFound(found) {
  results.showResults(found);
  if (found.hits.length) return;
  const filtered = address.countFilters(state);
  const why = found.notes.filter((one) => one.code !== "nothing-meets-filter").map(({ message }) => `${message[0].toUpperCase()}${message.slice(1)}${message.endsWith("?") ? "" : "."}`).join(" ");
  notice("No results", why || (filtered ? "No image meets all filters." : "The collection has no other images."),
    filtered ? ["Clear all filters", filters.clear] : null);
}

function showImageElsewhere() {
  results.fill([]);
  status();
  notice("The query image is on another device", "Query images stay in the browser that they were opened in, so this link cannot include the image. Choose the image to see the same search.",
    ["Choose image", () => actions.choose()]);
}

const OF_THE_QUERY = ["no-such-item", "not-an-image", "broken-image", "image-too-large", "too-large", "unusable-words"]; // trying again would not help

/** Show an error where it belongs. */
export function showError(error) {
  if (error.name === "AbortError") return;
  if (error.code === "bad-filter") {
    filters.showError(error);
    if (results.hasResults() && results.count()) return status(make("span", {}, "The filter is not valid; these are the previous results."));
    results.fill([]);
    return notice("The filter is not valid", error.message, ["Clear all filters", filters.clear], true);
  }
  results.fill([]);
  if (error.code === "no-such-collection") return errorNotice(error, wayOut());
  if (!OF_THE_QUERY.includes(error.code)) return errorNotice(error, ["Try again", () => actions.load()]);
  query.hide();
  $("main").dataset.view = "start";
  errorNotice(error, ["no-such-item", "unusable-words"].includes(error.code) ? ["Start again", () => reset(), true] : ["Choose another image", () => actions.choose(), true]);
}

function checkSize(file) {
  if (file.size > MOST_BYTES) throw new api.Problem(0, { code: "too-large", detail: `“${file.name}” has ${Math.round(file.size / 1e6).toLocaleString("en")} MB.` });
}

/** Add images that the user gave to the query. */
export async function addToQuery(files) {
  try {
    const given = [];
    for (const file of files) {
      checkSize(file);
      given.push({ upload: await hold(await shrink(file)) });
    }
    await change(parts.adding(state, given));
  } catch (error) { // as in searchWith
    newSignal();
    showError(error);
  }
}

/** Return what to do where the collection in the URL does not exist: open one that does. */
function wayOut() {
  const name = served.default ?? served.collections.find((one) => !one.error)?.name;
  return name ? [`Open “${name}”`, () => reset(name, { upload: state.upload, words: state.words }), true] : ["Try again", () => actions.load()];
}

/** Search with an image that the user gave. */
export async function searchWith(file) {
  try {
    checkSize(file);
    const upload = await hold(await shrink(file));
    await change({ ...FRESH, upload, disliked: address.hasQuery(state) ? [] : state.disliked });
  } catch (error) { // the file was removed, or is too large for an image
    newSignal();
    showError(error);
  }
}
