// Asking the service: for a start, and for answers.

import * as address from "./address.js";
import * as api from "./api.js";
import { counted } from "./collections.js";
import { $, make, several } from "./elements.js";
import * as narrowing from "./narrowing.js";
import { empty, fault, status } from "./notices.js";
import * as query from "./query.js";
import { recall, remember } from "./remembered.js";
import * as results from "./results.js";
import { anew, change, collection, served, state } from "./state.js";

const MOST_BYTES = 256e6; // the service has a limit of its own; this one keeps a film out of the browser's memory
const OFFERED = 24; // pictures to start from

let asking = null; // AbortController of the search that is under way
let offer = {}; // what else the page can do

/** What a person is offered where there is no answer: `begin` anew, `choose` a picture, `add` some. */
export const offering = (offers) => { offer = offers; };

/** A signal for what is asked now; what was asked before is given up. */
function asked() {
  asking?.abort();
  asking = new AbortController();
  return asking.signal;
}

/** Show pictures to start from. */
export async function start() {
  const signal = asked();
  narrowing.stop();
  query.show(null);
  document.title = "lookalike";
  empty();
  results.expecting("");
  try {
    const today = Math.floor(Date.now() / 864e5); // others tomorrow, and none that change while one looks
    const found = await api.sample(collection(), OFFERED, today, signal);
    results.fill(found.items);
    counted(collection(), found.total);
    if (found.total) status(make("b", {}, "Or begin with one of these"), make("span", {}, several(found.total, "picture")));
    else {
      status();
      empty("Nothing here yet", `“${collection()}” has no pictures.`, served.mayWrite ? ["Add pictures", () => offer.add(), true] : null);
    }
  } catch (error) {
    if (!signal.aborted) failed(error);
  } finally {
    if (asking.signal === signal) results.arrived();
  }
}

export function nothingServed() {
  asked();
  query.show(null);
  results.fill([]);
  if (!served.mayWrite) return empty("No collection yet", "This service has no collection. `lookalike index FOLDER -c shop` makes one; then load this page again.");
  empty("No collection yet", "A collection holds the pictures that are searched. Begin one, and drop a folder of pictures on it.", ["Begin a collection", async () => {
    try {
      await api.begin("pictures");
      await offer.begin();
      offer.add();
    } catch (error) {
      failed(error);
    }
  }, true]);
}

/** Show the answers to the state. */
export async function ask() {
  const signal = asked();
  results.expecting();
  empty();
  try {
    const picture = state.upload === null ? null : await recall(state.upload);
    if (signal.aborted) return;
    query.show(picture);
    if (state.upload !== null && !picture) return elsewhere();
    const found = await api.search(collection(), said(), picture, signal);
    if (!signal.aborted) answered(found);
  } catch (error) {
    if (!signal.aborted) failed(error);
  } finally {
    if (asking.signal === signal) results.arrived();
  }
}

/** The state as the service wants to hear it. */
function said() {
  const query = { k: state.k };
  if (state.id !== null) query.id = state.id;
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

function answered(found) {
  results.answered(found);
  if (found.hits.length) return;
  const narrowed = address.narrowings(state);
  const why = found.notes.filter((one) => one.code !== "nothing-meets-filter").map(({ message }) => `${message[0].toUpperCase()}${message.slice(1)}${message.endsWith("?") ? "" : "."}`).join(" ");
  empty("Nothing to show", why || (narrowed ? "No picture meets all that the answers were narrowed down to." : "The collection has no other picture."),
    narrowed ? ["Clear all filters", narrowing.clear] : null);
}

function elsewhere() {
  results.fill([]);
  status();
  empty("This search began with a picture on another device", "A picture that somebody searches with stays in their browser, so this address cannot bring it along. Give the picture, and the rest is as it was.",
    ["Choose the picture", () => offer.choose()]);
}

const OF_THE_QUERY = ["no-such-item", "not-an-image", "broken-image", "image-too-large", "too-large"]; // again would not help

/** Say what went wrong, where it belongs. */
export function failed(error) {
  if (error.name === "AbortError") return;
  if (error.code === "bad-filter") {
    narrowing.fault(error);
    if (results.answering()) return status(make("span", {}, "The filter cannot be understood; these are the answers from before it."));
    results.fill([]);
    return empty("The filter cannot be understood", error.message, ["Clear all filters", narrowing.clear], true);
  }
  results.fill([]);
  if (!OF_THE_QUERY.includes(error.code)) return fault(error, ["Try again", () => offer.begin()]);
  query.hide();
  $("main").dataset.view = "start";
  fault(error, error.code === "no-such-item" ? ["Start anew", () => anew(), true] : ["Choose another picture", () => offer.choose(), true]);
}

/** Search with a picture that a person hands over. */
export async function searchWith(file) {
  try {
    if (file.size > MOST_BYTES) throw new api.Problem(0, { code: "too-large", detail: `“${file.name}” has ${Math.round(file.size / 1e6).toLocaleString("en")} MB.` });
    const upload = await remember(file);
    scrollTo({ top: 0 });
    await change({ upload, id: null, crop: null, liked: [], disliked: [] });
  } catch (error) { // the file went away, or is not a picture by its size
    asked();
    failed(error);
  }
}
