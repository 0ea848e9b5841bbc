// The entry point. The page has one state, which the URL holds; every action makes a new state.

import * as address from "./address.js";
import { setUpAddDialog } from "./add-images.js";
import * as api from "./api.js";
import * as collections from "./collections.js";
import { $ } from "./elements.js";
import "./header.js";
import { setUpInputs } from "./image-input.js";
import * as filters from "./filters.js";
import { showFeedback } from "./results.js";
import * as parts from "./parts.js";
import { addToQuery, runSearch, searchWith, setActions, showError, showNoCollection, showStart } from "./search.js";
import * as words from "./words.js";
import { collection, onChange, reset, served, state } from "./state.js";

/** Return the address of the map of what the filters leave of a collection. */
function mapOf(name) {
  const where = address.filter(state);
  return `map.html?${new URLSearchParams({ c: name ?? "", ...(where ? { where } : {}) })}`;
}

/** Update the page from the state. */
async function show() {
  const hasQuery = address.hasQuery(state);
  $("main").dataset.view = hasQuery ? "results" : "start";
  $("collection").value = collection() ?? "";
  $("to-map").hidden = collection() === null;
  $("to-map").href = mapOf(collection());
  words.show();
  filters.show();
  showFeedback();
  parts.show();
  if (collection() === null) return showNoCollection();
  if (!hasQuery) return showStart();
  await Promise.all([runSearch(), filters.updateCounts()]);
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

$("keys").addEventListener("click", () => $("shortcuts").showModal());
addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]):not([type=range]), select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const work = {
    "/": () => { $("filters").open = true; $("where").focus(); },
    u: choose,
    w: words.focus,
    "?": () => $("shortcuts").showModal(),
  }[event.key];
  if (!work) return;
  event.preventDefault();
  work();
});

// -- start ------------------------------------------------------------------------------------

setActions({ load, choose, add: openAddDialog });
onChange(show);
load();
