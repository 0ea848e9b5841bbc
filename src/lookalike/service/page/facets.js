// What the items can be narrowed down by: the label, and the fields of the metadata that have
// few values (ticked) or are numbers (from, to).

import * as address from "./address.js";
import * as api from "./api.js";
import { make, number } from "./elements.js";

const MOST_FIELDS = 12;
const MOST_VALUES = 40;
const TOLD = 0.3; // of the items must have a field for it to be offered

/** The fields of a collection that are worth offering, the label first. */
export function offered(stats) {
  const fields = (stats.fields ?? []).filter((one) => one.filled >= stats.items * TOLD);
  const isNumber = (one) => ["integer", "number"].includes(Object.keys(one.types)[0]);
  const isWord = (one) => ["string", "boolean", "array"].includes(Object.keys(one.types)[0]);
  return {
    ticked: [...(stats.distinct_labels > 1 ? ["label"] : []), ...fields.filter(isWord).map((one) => one.name).slice(0, MOST_FIELDS)],
    ranged: fields.filter(isNumber).map((one) => one.name).slice(0, MOST_FIELDS),
  };
}

/** Ask for the counts of `fields` under `state`, each without its own narrowing. */
export async function counted(collection, fields, state, signal) {
  const narrowed = fields.filter((field) => state.values[field]?.length);
  const free = fields.filter((field) => !narrowed.includes(field));
  const asked = [
    ...(free.length ? [api.facets(collection, free, address.filter(state), MOST_VALUES, signal)] : []),
    ...narrowed.map((field) => api.facets(collection, [field], address.filter(state, field), MOST_VALUES, signal)),
  ];
  const found = (await Promise.all(asked)).flatMap((answer) => answer.facets);
  const worth = (one) => narrowed.includes(one.field) || one.field === "label" || (one.values.length > 1 && one.distinct <= MOST_VALUES * 3);
  return fields.map((field) => found.find((one) => one.field === field)).filter((one) => one && worth(one));
}

/** Draw facets into `place`, keeping which are open; `changed` hears (field, values or range). */
export function drawn(place, counts, ranged, state, changed) {
  const before = [...place.querySelectorAll("details")];
  const open = new Set(before.filter((one) => one.open).map((one) => one.dataset.field));
  const focus = document.activeElement?.dataset?.key;
  const first = before.length === 0;
  const isOpen = (field, at) => (first ? at === 0 || Boolean(state.values[field]) || Boolean(state.ranges[field]) : open.has(field));
  place.replaceChildren(
    ...counts.map((one, at) => ticks(one, state.values[one.field] ?? [], isOpen(one.field, at), changed)),
    ...ranged.map((field) => range(field, state.ranges[field] ?? [null, null], isOpen(field, -1), changed)),
  );
  if (focus) [...place.querySelectorAll("input")].find((one) => one.dataset.key === focus)?.focus({ preventScroll: true });
}

const title = (field) => (field === "label" ? "Label" : field);

function ticks(facet, chosen, open, changed) {
  const key = (value) => `${facet.field} ${JSON.stringify(value)}`;
  const rest = chosen.filter((value) => !facet.values.some((one) => one.value === value)).map((value) => ({ value, count: 0 }));
  const line = ({ value, count }) => make("li", {}, make("label", {},
    make("input", {
      type: "checkbox", checked: chosen.includes(value), "data-key": key(value),
      onchange: (event) => changed(facet.field, event.target.checked ? [...chosen, value] : chosen.filter((one) => one !== value)),
    }),
    make("span", {}, String(value)), make("data", { value: String(count) }, number(count))));
  const more = facet.distinct - facet.values.length;
  return make("details.facet", { open, "data-field": facet.field },
    make("summary", {}, title(facet.field)),
    make("ul", {}, ...[...rest, ...facet.values].map(line), more > 0 ? make("li.quiet.name", {}, `and ${number(more)} more: use the filter`) : null));
}

function range(field, [low, high], open, changed) {
  const end = (value, label, at) => make("input", {
    type: "number", step: "any", "aria-label": `${field} ${label}`, placeholder: label, value: value === null ? "" : String(value), "data-key": `${field} ${label}`,
    onchange: (event) => {
      const ends = [low, high];
      ends[at] = event.target.value === "" ? null : Number(event.target.value);
      changed(field, null, ends);
    },
  });
  return make("details.facet", { open, "data-field": field }, make("summary", {}, field),
    make("div.range", {}, end(low, "from", 0), make("span.quiet", {}, "–"), end(high, "to", 1)));
}
