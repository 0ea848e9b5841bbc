// The answers on the page: drawn, cut, and what a person does with one of them.

import { cards, evenShape, goingOn, replaced, rowOf, waiting, walking } from "./answers.js";
import * as api from "./api.js";
import * as details from "./details.js";
import { $, icon, make, several } from "./elements.js";
import { empty, status } from "./notices.js";
import * as query from "./query.js";
import { change, collection, state } from "./state.js";

let hits = []; // what was answered last
let held = false; // whether the focus was on one of those that gave way to the ones to come

walking($("grid"));

/** Show `items`; the focus stays where it was. */
export function fill(items) {
  hits = items;
  const row = rowOf(items);
  $("grid").style.setProperty("--small", row === null ? "999px" : `${row}px`);
  const shape = evenShape(items);
  $("grid").classList.toggle("even", shape !== null);
  $("grid").style.setProperty("--shape", shape ?? 1);
  replaced($("grid"), cards(items, state, collection(), acts));
  if (held && document.activeElement === $("answers")) $("grid").querySelector("a")?.focus({ preventScroll: true });
  held = false;
}

/** Show that something is on its way; `words` tell what. */
export function expecting(words = "Searching …") {
  document.body.classList.add("wait");
  $("grid").setAttribute("aria-busy", "true");
  if (answering()) return; // those from before stay until there are others
  status(make("span", {}, words));
  held ||= $("grid").contains(document.activeElement);
  if (held) $("answers").focus({ preventScroll: true });
  $("grid").classList.remove("even");
  $("grid").replaceChildren(...waiting(12));
}

export function arrived() {
  document.body.classList.remove("wait");
  $("grid").removeAttribute("aria-busy");
}

/** Whether there are answers to a search, and not a start or a fault. */
export const answering = () => $("shown") !== null;

export function answered(found) {
  fill(found.hits);
  const told = [make("span", { id: "shown" }), make("span", {}, `from ${several(found.collection.items, "picture")} in ${Math.max(1, Math.round(1000 * found.seconds))} ms`)];
  if (found.category) told.push(make("span", {}, guessed(found.category)));
  status(...told);
  cut();
}

function guessed({ scope, used, reason, predicted: [best] }) {
  const named = scope === "category" && used.length === 1 && used[0] === best?.label;
  const sure = best ? ` (${named ? "" : `${best.label} `}${Math.round(best.probability * 100)} %)` : "";
  return scope === "category" ? `Looks like ${used.join(", ")}${sure}` : `In all categories: ${reason}${sure}`;
}

/** Hide what is less alike than the slider says; nothing is asked again. */
export function cut() {
  if (!answering()) return;
  let shown = 0;
  for (const [at, one] of [...$("grid").children].entries()) {
    one.hidden = state.least > 0 && hits[at].score < state.least; // "any" means those below 0 too
    shown += one.hidden ? 0 : 1;
  }
  $("shown").replaceChildren(make("b", {}, shown < hits.length ? `${shown} of ${several(hits.length, "answer")}` : several(hits.length, "answer")));
  $("tuned").textContent = shown ? `Show ${several(shown, "answer")}` : "Back";
  if (!hits.length) return;
  if (shown) empty();
  else empty("Nothing here is that alike", `The most similar picture reaches ${hits[0].score.toFixed(2)}; the least that you want is ${state.least.toFixed(2)}.`,
    ["Show it all the same", () => change({ least: 0 })]);
}

function acts(what, hit) {
  if (what === "go") { scrollTo({ top: 0 }); change(goingOn(state, hit.id)); return; }
  if (what === "compare") { details.show(hit, query.current(), state, acts); return; }
  const [to, from] = what === "like" ? ["liked", "disliked"] : ["disliked", "liked"];
  const had = state[to].includes(hit.id);
  change({
    [to]: had ? state[to].filter((one) => one !== hit.id) : [...state[to], hit.id],
    [from]: state[from].filter((one) => one !== hit.id),
  });
  if (!had && $("tastes").getBoundingClientRect().bottom < 0) $("tastes").scrollIntoView({ block: "center" }); // to see what was done
}

/** Show what more and what less is wanted of. */
export function showTastes() {
  $("tastes").hidden = !state.liked.length && !state.disliked.length;
  for (const name of ["liked", "disliked"]) {
    $(name).hidden = !state[name].length;
    $(name).querySelector("ul").replaceChildren(...state[name].map((id) => make("li", {},
      make("button.plain", { type: "button", "aria-label": `Leave out ${id.split("/").pop()}`, title: "Leave it out", onclick: () => change({ [name]: state[name].filter((one) => one !== id) }) },
        make("img", { src: api.thumbnailOf(collection(), id, 120), alt: "" }), icon("close")))));
  }
}
