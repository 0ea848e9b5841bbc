// The page: one state, which the address tells; everything that is done makes a new one.

import * as address from "./address.js";
import { adding } from "./adding.js";
import * as api from "./api.js";
import * as collections from "./collections.js";
import { $ } from "./elements.js";
import "./frame.js";
import { giving } from "./giving.js";
import * as narrowing from "./narrowing.js";
import { showTastes } from "./results.js";
import { ask, failed, nothingServed, offering, searchWith, start } from "./searching.js";
import { anew, collection, served, state, whenChanged } from "./state.js";

/** Bring the page in line with the state. */
async function show() {
  const asks = address.asks(state);
  $("main").dataset.view = asks ? "answers" : "start";
  $("collection").value = collection() ?? "";
  narrowing.show();
  showTastes();
  if (collection() === null) return nothingServed();
  if (!asks) return start();
  await Promise.all([ask(), narrowing.count()]);
}

/** Ask what there is, and show what the state asks for. */
async function begin() {
  try {
    const [found, access] = await Promise.all([api.collections(), api.access()]);
    Object.assign(served, found, { mayWrite: access.write });
    collections.offered(served.collections);
    $("add").hidden = !served.mayWrite || !served.collections.length;
    await show();
  } catch (error) {
    failed(error);
  }
}

// -- what a person does -----------------------------------------------------------------------

const openAdding = adding(collection, (to) => { narrowing.forget(to); begin(); });
const choose = giving(searchWith, () => (served.mayWrite && collection() !== null ? openAdding : null));
$("add").addEventListener("click", () => openAdding());

$("collection").addEventListener("change", () => {
  narrowing.clean();
  anew($("collection").value, { k: state.k, upload: state.upload });
});

document.querySelector("[data-go]").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  anew();
});

$("keys").addEventListener("click", () => $("shortcuts").showModal());
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

// -- begin ------------------------------------------------------------------------------------

offering({ begin, choose, add: openAdding });
whenChanged(show);
begin();
