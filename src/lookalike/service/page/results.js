// The results on the page, and the actions on each of them.

import { cards, commonShape, enableArrowKeys, largestRow, placeholders, replaceCards, searchFrom } from "./cards.js";
import * as api from "./api.js";
import * as details from "./details.js";
import { $, icon, make, several } from "./elements.js";
import { notice, status } from "./notices.js";
import * as parts from "./parts.js";
import * as query from "./query.js";
import { change, collection, state } from "./state.js";

let hits = []; // the latest results
let hadFocus = false; // whether the focus was on a result that was replaced by a placeholder

enableArrowKeys($("grid"));

/** Show `items`, and keep the focus where it was. */
export function fill(items) {
  hits = items;
  const row = largestRow(items);
  $("grid").style.setProperty("--small", row === null ? "999px" : `${row}px`);
  const shape = commonShape(items);
  $("grid").classList.toggle("even", shape !== null);
  $("grid").style.setProperty("--shape", shape ?? 1);
  replaceCards($("grid"), cards(items, state, collection(), acts));
  if (hadFocus && document.activeElement === $("results")) $("grid").querySelector("a")?.focus({ preventScroll: true });
  hadFocus = false;
}

/** Show that results are on their way. */
export function showLoading(text = "Searching …") {
  document.body.classList.add("wait");
  $("grid").setAttribute("aria-busy", "true");
  if (hasResults()) return; // the previous results stay until new ones arrive
  status(make("span", {}, text));
  hadFocus ||= $("grid").contains(document.activeElement);
  if (hadFocus) $("results").focus({ preventScroll: true });
  $("grid").classList.remove("even");
  $("grid").replaceChildren(...placeholders(12));
}

export function hideLoading() {
  document.body.classList.remove("wait");
  $("grid").removeAttribute("aria-busy");
}

/** Return whether results of a search are shown, rather than the start page or an error. */
export const hasResults = () => $("shown") !== null;

/** Return how many results are shown or hidden by the minimum similarity. */
export const count = () => hits.length;

const OF_WORDS = ["searched-by-label", "unknown-words", "items-without-words"]; // notes that matter beside results, too

/** Show the results of a search. */
export function showResults(found) {
  for (const hit of found.hits) hit.by = found.score; // "cosine", or "words" where only keywords were searched
  fill(found.hits);
  const parts = [make("span", { id: "shown" }), make("span", {}, `from ${several(found.collection.items, "image")} in ${Math.max(1, Math.round(1000 * found.seconds))} ms`)];
  if (found.category) parts.push(make("span", {}, categoryText(found.category)));
  if (found.hits.length) parts.push(...found.notes.filter(({ code }) => OF_WORDS.includes(code)).map(({ message }) => make("span", {}, message)));
  status(...parts);
  applyMinimum();
}

function categoryText({ scope, used, reason, predicted: [best] }) {
  const named = scope === "category" && used.length === 1 && used[0] === best?.label;
  const sure = best ? ` (${named ? "" : `${best.label} `}${Math.round(best.probability * 100)}%)` : "";
  return scope === "category" ? `Category: ${used.join(", ")}${sure}` : `All categories: ${reason}${sure}`;
}

/** Hide results below the minimum similarity, without another search. */
export function applyMinimum() {
  if (!hasResults()) return;
  let shown = 0;
  for (const [at, one] of [...$("grid").children].entries()) {
    one.hidden = hits[at].by !== "words" && state.least > 0 && hits[at].score < state.least; // "any" includes scores below 0
    shown += one.hidden ? 0 : 1;
  }
  $("shown").replaceChildren(make("b", {}, shown < hits.length ? `${shown} of ${several(hits.length, "result")}` : several(hits.length, "result")));
  $("close-filters").textContent = shown ? `Show ${several(shown, "result")}` : "Close";
  if (!hits.length) return;
  if (shown) notice();
  else notice("No similar images", `The best result has a similarity of ${hits[0].score.toFixed(2)}; the minimum is ${state.least.toFixed(2)}.`,
    ["Show it anyway", () => change({ least: 0 })]);
}

function acts(what, hit) {
  if (what === "go") { change(searchFrom(state, hit.id)); return; }
  if (what === "add") { change(parts.adding(state, [{ id: hit.id }])); return; }
  if (what === "compare") { details.show(hit, query.current(), state, acts); return; }
  const [to, from] = what === "like" ? ["liked", "disliked"] : ["disliked", "liked"];
  const present = state[to].includes(hit.id);
  change({
    [to]: present ? state[to].filter((one) => one !== hit.id) : [...state[to], hit.id],
    [from]: state[from].filter((one) => one !== hit.id),
  });
  if (!present && $("feedback").getBoundingClientRect().bottom < 0) $("feedback").scrollIntoView({ block: "center" }); // so that the user sees the effect
}

/** Show the items that the user wants more or less of. */
export function showFeedback() {
  $("feedback").hidden = !state.liked.length && !state.disliked.length;
  for (const name of ["liked", "disliked"]) {
    $(name).hidden = !state[name].length;
    $(name).querySelector("ul").replaceChildren(...state[name].map((id) => make("li", {},
      make("button.plain", { type: "button", "aria-label": `Remove ${id.split("/").pop()}`, title: "Remove", onclick: () => change({ [name]: state[name].filter((one) => one !== id) }) },
        make("img", { src: api.thumbnailOf(collection(), id, 120), alt: "" }), icon("close")))));
  }
}
