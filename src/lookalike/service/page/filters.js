// The filter controls, and the counts beside them.

import * as address from "./address.js";
import * as api from "./api.js";
import { $, make, debounce } from "./elements.js";
import * as facets from "./facets.js";
import { applyMinimum } from "./results.js";
import { change, collection, patchState, state, updateAddress } from "./state.js";

const BATCH = 3; // fields that are counted at once; in a large collection each takes a while
const known = new Map(); // collection → the fields it can be filtered by
let counting = null; // AbortController of the counts being fetched

// The options that reorder results: the control's id, and a value of the control → the value of the state.
const RANKING = [["expand", (value) => value], ["diversity", (value) => value / 100]];

function showRanking([name, of]) {
  const control = $(name);
  control.value = String(Math.round(state[name] / of(1)));
  $(`${name}-says`).textContent = Number(control.value) ? of(Number(control.value)) : "off";
}

/** Update the controls from the state. */
export function show() {
  $("k").value = state.k;
  $("k-says").textContent = state.k;
  $("least").value = Math.round(state.least * 100);
  $("least-says").textContent = state.least ? state.least.toFixed(2) : "any";
  for (const one of RANKING) showRanking(one);
  $("any-orientation").checked = state.anyOrientation;
  $("any-orientation").closest("label").hidden = !address.canTurn(state);
  $("where").value = state.where;
  $("collapse").checked = state.collapse;
  $("per-group").checked = state.perGroup;
  $("include-blank").checked = state.includeBlank;
  $("category").checked = state.category;
  const filters = address.countFilters(state);
  $("filter-count").hidden = $("clear").hidden = !filters;
  $("filter-count").textContent = filters;
  showError(null);
}

/** Show what is wrong with the filter expression; null clears the message. */
export function showError(error) {
  const at = error && address.positionInWhere(state, error.at);
  $("where-says").textContent = error ? error.message + (at === null ? "" : `, at character ${at + 1}`) : "";
  if (!error) return $("where").removeAttribute("aria-invalid");
  $("where").setAttribute("aria-invalid", "true");
  $("filters").open = true;
  $("where-says").scrollIntoView({ block: "nearest" });
  if (at !== null && document.activeElement === $("where")) $("where").setSelectionRange(at, state.where.length);
}

export const clear = () => change({ where: "", values: address.EMPTY.values, ranges: address.EMPTY.ranges });

$("k").addEventListener("input", () => { $("k-says").textContent = $("k").value; });
$("k").addEventListener("change", debounce(() => change({ k: Number($("k").value) }, { push: false }), 150));
const settle = debounce(updateAddress, 250);
$("least").addEventListener("input", () => {
  patchState({ least: Number($("least").value) / 100 });
  $("least-says").textContent = state.least ? state.least.toFixed(2) : "any";
  applyMinimum();
  settle();
});
for (const [name, of] of RANKING) {
  $(name).addEventListener("input", () => { $(`${name}-says`).textContent = of(Number($(name).value)) || "off"; });
  $(name).addEventListener("change", debounce(() => change({ [name]: of(Number($(name).value)) }, { push: false }), 150));
}
for (const [id, name] of [["any-orientation", "anyOrientation"], ["collapse", "collapse"], ["per-group", "perGroup"], ["include-blank", "includeBlank"], ["category", "category"]])
  $(id).addEventListener("change", () => change({ [name]: $(id).checked }));
$("where").addEventListener("change", () => change({ where: $("where").value }));
$("clear").addEventListener("click", clear);

// On a narrow page the controls cover only the lower part, so that their effect can be seen.
const narrow = matchMedia("(max-width: 44rem)");
$("filters").open = !narrow.matches;
narrow.addEventListener("change", () => { $("filters").open = !narrow.matches; });
$("filters").addEventListener("toggle", () => { if (narrow.matches && $("filters").open && !state.where) $("results").scrollIntoView(); });
function close() {
  if (!narrow.matches || !$("filters").open) return;
  $("filters").open = false;
  $("filters").querySelector("summary").focus({ preventScroll: true });
}
$("close-filters").addEventListener("click", close);
addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
addEventListener("pointerdown", (event) => { if (!event.target.closest("#filters, dialog")) close(); });

const setFilter = (field, values, range) => change(values
  ? { values: address.withFilter(state.values, field, values) }
  : { ranges: address.withFilter(state.ranges, field, range) });

/** Cancel the counts being fetched. */
export const stop = () => counting?.abort();

/** Remove the facets: another collection has other values. */
export const removeFacets = () => $("facets").replaceChildren();

/** Forget the fields of a collection: after images were added, it may have new values. */
export const forget = (name) => known.delete(name);

const draw = (counts, ranged) => facets.draw($("facets"), counts, ranged, state, { changed: setFilter, opened: updateCounts });

/** Fetch the counts for the state, and show them. */
export async function updateCounts() {
  stop();
  const { signal } = (counting = new AbortController());
  const of = collection();
  $("facets").setAttribute("aria-busy", "true");
  try {
    if (!known.has(of)) {
      facets.showPlaceholders($("facets"));
      const labels = await facets.fetchCounts(of, ["label"], state, signal); // fast, while the other fields need a look at every item
      if (signal.aborted) return;
      draw(labels.filter((one) => one.distinct > 1), []);
      $("category-row").hidden = !labels[0].distinct;
      facets.showPlaceholders($("facets"));
      const stats = await api.stats(of, signal);
      known.set(of, { groups: stats.groups, labels: stats.distinct_labels, counts: new Map(), whole: false, ...facets.fieldsToOffer(stats) });
    }
    const offered = known.get(of);
    $("per-group").closest("label").hidden = !offered.groups;
    $("category-row").hidden = !offered.labels;
    // Every field is counted once; after that, only the open ones.
    const wanted = !offered.whole ? offered.ticked : offered.ticked.filter((field) => field in state.values || facets.isOpen($("facets"), field));
    for (let at = 0; at === 0 || at < wanted.length; at += BATCH) {
      const counts = at < wanted.length ? await facets.fetchCounts(of, wanted.slice(at, at + BATCH), state, signal) : [];
      if (signal.aborted) return;
      const names = address.countFilters(state) ? [] : facets.namingFields(counts);
      offered.ticked = offered.ticked.filter((field) => !names.includes(field));
      for (const one of counts) offered.counts.set(one.field, one);
      const more = at + BATCH < wanted.length;
      const counted = offered.ticked.map((field) => offered.counts.get(field)).filter(Boolean);
      draw(counted, more ? [] : offered.ranged);
      if (more) facets.showPlaceholders($("facets"));
      $("where").placeholder = facets.example(counted, offered.ranged);
    }
    offered.whole ||= !address.countFilters(state);
  } catch (error) { // the results show these errors already
    if (signal.aborted) return;
    facets.removePlaceholders($("facets"));
    if (!["bad-filter", "unreachable"].includes(error.code)) $("facets").replaceChildren(make("p.quiet.name", {}, error.message));
  } finally {
    if (counting.signal === signal) $("facets").removeAttribute("aria-busy");
  }
}
