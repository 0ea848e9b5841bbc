// The controls that narrow the answers down, and the counts beside them.

import * as address from "./address.js";
import * as api from "./api.js";
import { $, make, settled } from "./elements.js";
import * as facets from "./facets.js";
import { cut } from "./results.js";
import { change, collection, note, state, written } from "./state.js";

const PORTION = 3; // fields that are counted at once: in a large collection each takes its time
const known = new Map(); // collection → what it can be narrowed down by
let counting = null; // AbortController of the counts that are asked for

/** Bring the controls in line with the state. */
export function show() {
  $("k").value = state.k;
  $("k-says").textContent = state.k;
  $("least").value = Math.round(state.least * 100);
  $("least-says").textContent = state.least ? state.least.toFixed(2) : "any";
  $("where").value = state.where;
  $("collapse").checked = state.collapse;
  $("per-group").checked = state.perGroup;
  $("category").checked = state.category;
  const narrowed = address.narrowings(state);
  $("narrowed").hidden = $("clear").hidden = !narrowed;
  $("narrowed").textContent = narrowed;
  fault(null);
}

/** Say beside the filter what is wrong with it; null: nothing. */
export function fault(error) {
  const at = error && address.placeIn(state, error.at);
  $("where-says").textContent = error ? error.message + (at === null ? "" : `, at character ${at + 1}`) : "";
  if (!error) return $("where").removeAttribute("aria-invalid");
  $("where").setAttribute("aria-invalid", "true");
  $("tune").open = true;
  $("where-says").scrollIntoView({ block: "nearest" });
  if (at !== null && document.activeElement === $("where")) $("where").setSelectionRange(at, state.where.length);
}

export const clear = () => change({ where: "", values: address.NOTHING.values, ranges: address.NOTHING.ranges });

$("k").addEventListener("input", () => { $("k-says").textContent = $("k").value; });
$("k").addEventListener("change", settled(() => change({ k: Number($("k").value) }, { push: false }), 150));
const settle = settled(written, 250);
$("least").addEventListener("input", () => {
  note({ least: Number($("least").value) / 100 });
  $("least-says").textContent = state.least ? state.least.toFixed(2) : "any";
  cut();
  settle();
});
for (const [id, name] of [["collapse", "collapse"], ["per-group", "perGroup"], ["category", "category"]])
  $(id).addEventListener("change", () => change({ [name]: $(id).checked }));
$("where").addEventListener("change", () => change({ where: $("where").value }));
$("clear").addEventListener("click", clear);

// On a narrow page the controls lie over the lower part of it, so that one sees what they do.
const over = matchMedia("(max-width: 44rem)");
$("tune").open = !over.matches;
over.addEventListener("change", () => { $("tune").open = !over.matches; });
$("tune").addEventListener("toggle", () => { if (over.matches && $("tune").open && !state.where) $("answers").scrollIntoView(); });
function close() {
  if (!over.matches || !$("tune").open) return;
  $("tune").open = false;
  $("tune").querySelector("summary").focus({ preventScroll: true });
}
$("tuned").addEventListener("click", close);
addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
addEventListener("pointerdown", (event) => { if (!event.target.closest("#tune, dialog")) close(); });

const narrow = (field, values, range) => change(values
  ? { values: address.narrowedBy(state.values, field, values) }
  : { ranges: address.narrowedBy(state.ranges, field, range) });

/** Give up the counts that are asked for. */
export const stop = () => counting?.abort();

/** Another collection: its values are others. */
export const clean = () => $("facets").replaceChildren();

/** A collection that something was added to may have values that it had not. */
export const forget = (name) => known.delete(name);

const draw = (counts, ranged) => facets.drawn($("facets"), counts, ranged, state, { changed: narrow, opened: count });

/** Ask for the counts of the state, and show them. */
export async function count() {
  stop();
  const { signal } = (counting = new AbortController());
  const of = collection();
  $("facets").setAttribute("aria-busy", "true");
  try {
    if (!known.has(of)) {
      facets.waiting($("facets"));
      const labels = await facets.counted(of, ["label"], state, signal); // quick, where the rest looks at every item
      if (signal.aborted) return;
      draw(labels.filter((one) => one.distinct > 1), []);
      $("category-row").hidden = !labels[0].distinct;
      facets.waiting($("facets"));
      const stats = await api.stats(of, signal);
      known.set(of, { groups: stats.groups, labels: stats.distinct_labels, counts: new Map(), whole: false, ...facets.offered(stats) });
    }
    const offered = known.get(of);
    $("per-group").closest("label").hidden = !offered.groups;
    $("category-row").hidden = !offered.labels;
    // What every field has is counted once; from then on only what is looked at.
    const asked = !offered.whole ? offered.ticked : offered.ticked.filter((field) => field in state.values || facets.isLookedAt($("facets"), field));
    for (let at = 0; at === 0 || at < asked.length; at += PORTION) {
      const counts = at < asked.length ? await facets.counted(of, asked.slice(at, at + PORTION), state, signal) : [];
      if (signal.aborted) return;
      const names = address.narrowings(state) ? [] : facets.names(counts);
      offered.ticked = offered.ticked.filter((field) => !names.includes(field));
      for (const one of counts) offered.counts.set(one.field, one);
      const more = at + PORTION < asked.length;
      const told = offered.ticked.map((field) => offered.counts.get(field)).filter(Boolean);
      draw(told, more ? [] : offered.ranged);
      if (more) facets.waiting($("facets"));
      $("where").placeholder = facets.example(told, offered.ranged);
    }
    offered.whole ||= !address.narrowings(state);
  } catch (error) { // the answers say what is wrong; the counts are quiet about a service that is away
    if (signal.aborted) return;
    facets.stopWaiting($("facets"));
    if (!["bad-filter", "away"].includes(error.code)) $("facets").replaceChildren(make("p.quiet.name", {}, error.message));
  } finally {
    if (counting.signal === signal) $("facets").removeAttribute("aria-busy");
  }
}
