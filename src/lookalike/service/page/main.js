// The entry point. The page has one state, which the URL holds; every action makes a new state.

import * as address from "./address.js";
import { setUpAddDialog } from "./add-images.js";
import * as api from "./api.js";
import * as collections from "./collections.js";
import { $, several } from "./elements.js";
import "./dialogs.js";
import "./header.js";
import { setUpInputs } from "./image-input.js";
import { clear, stored } from "./image-store.js";
import * as filters from "./filters.js";
import { showFeedback } from "./results.js";
import * as parts from "./parts.js";
import { addToQuery, runSearch, searchWith, setActions, showError, showNoCollection, showStart } from "./search.js";
import * as words from "./words.js";
import { collection, onChange, reset, returnToPlace, served, state } from "./state.js";

/** Return the address of the map of what the filters leave of a collection. */
function mapOf(name) {
  const where = address.filter(state);
  return `map.html?${new URLSearchParams({ c: name ?? "", ...(where ? { where } : {}) })}`;
}

/** Update the page from the state. */
async function show() {
  const hasQuery = present();
  if (collection() === null) return showNoCollection();
  if (!hasQuery) return showStart();
  await Promise.all([runSearch(), filters.updateCounts()]);
}

/** Show what the state says by itself, without a request; return whether it is a query. */
function present() {
  const hasQuery = address.hasQuery(state);
  document.documentElement.classList.remove("arriving");
  $("main").dataset.view = hasQuery ? "results" : "start";
  $("collection").value = collection() ?? "";
  $("to-map").hidden = collection() === null;
  $("to-map").href = mapOf(collection());
  words.show();
  filters.show();
  showFeedback();
  parts.show();
  return hasQuery;
}

/** Load the collections, and show the state. */
async function load() {
  try {
    const [found, access] = await Promise.all([api.collections(), api.access()]);
    Object.assign(served, found, { mayWrite: access.write, limits: access });
    collections.listCollections(served.collections);
    $("add").hidden = !served.mayWrite || !served.collections.length;
    await show();
  } catch (error) {
    showError(error);
  }
}

async function showStored() {
  const { images, bytes } = await stored();
  $("forget").hidden = !images;
  $("stored-says").textContent = images
    ? `${several(images, "image")}, ${(bytes / 1e6).toFixed(1)} MB, so that going back and links work. They are sent only to search with them.`
    : "None.";
}

function showHelp() {
  showStored();
  $("shortcuts").showModal();
}

// -- actions ----------------------------------------------------------------------------------

const openAddDialog = setUpAddDialog(collection, () => served.limits, (to) => { filters.forget(to); load(); });
const choose = setUpInputs(searchWith, addToQuery, () => (served.mayWrite && collection() !== null ? openAddDialog : null));
$("add").addEventListener("click", () => openAddDialog());

$("collection").addEventListener("change", () => {
  filters.removeFacets();
  reset($("collection").value, { k: state.k, upload: state.upload });
});

document.querySelector("[data-home]").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  reset();
});

$("keys").addEventListener("click", showHelp);
$("forget").addEventListener("click", async () => { await clear(); await showStored(); });

addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]):not([type=range]), select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const work = {
    "/": () => { $("filters").open = true; $("where").focus(); },
    u: choose,
    w: words.focus,
    "?": showHelp,
  }[event.key];
  if (!work) return;
  event.preventDefault();
  work();
});

// -- start ------------------------------------------------------------------------------------

setActions({ load, present, choose, add: openAddDialog });
onChange(show);
load().then(returnToPlace);
