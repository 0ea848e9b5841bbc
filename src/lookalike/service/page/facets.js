// The fields that results can be filtered by: the label, and metadata fields that have few values
// (checkboxes) or are numbers (from, to).

import * as address from "./address.js";
import * as api from "./api.js";
import { make, number } from "./elements.js";

const MOST_FIELDS = 12;
const MOST_VALUES = 200; // shown in one list
const MOST_DISTINCT = 400;
const SEARCHABLE = 10; // from this many values on, a list has a search box
const FILLED = 0.3; // share of the items that must have a field for it to be offered
const OURS = new Set(["id", "label", "group", "root", "path", "width", "height", "digest"]);

/** Return the fields of a collection that are worth offering, the label first. */
export function fieldsToOffer(stats) {
  const fields = (stats.fields ?? []).filter((one) => one.filled >= stats.items * FILLED);
  const kindOf = (one) => Object.entries(one.types).sort(([, a], [, b]) => b - a)[0]?.[0];
  const named = (...kinds) => fields.filter((one) => kinds.includes(kindOf(one)))
    .map((one) => (OURS.has(one.name) ? `metadata.${one.name}` : one.name)).slice(0, MOST_FIELDS);
  return {
    ticked: [...(stats.distinct_labels > 1 ? ["label"] : []), ...named("string", "boolean", "array")],
    ranged: named("integer", "number"),
  };
}

/** Fetch the counts of `fields` under `state`; the filters on a field itself do not apply to its own counts. */
export async function fetchCounts(collection, fields, state, signal) {
  const filtered = fields.filter((field) => state.values[field]?.length);
  const free = fields.filter((field) => !filtered.includes(field));
  const requests = [
    ...(free.length ? [api.facets(collection, free, address.filter(state), MOST_VALUES, signal)] : []),
    ...filtered.map((field) => api.facets(collection, [field], address.filter(state, field), MOST_VALUES, signal)),
  ];
  const found = (await Promise.all(requests)).flatMap((response) => response.facets.map((one) => ({ ...one, total: response.total })));
  return fields.map((field) => found.find((one) => one.field === field)).filter(Boolean);
}

/** Return the fields whose values, by their `counts`, are names of single items rather than categories. */
export const namingFields = (counts) => counts
  .filter((one) => one.field !== "label" && (one.distinct > MOST_DISTINCT || (one.distinct >= SEARCHABLE && one.distinct > one.total / 3)))
  .map((one) => one.field);

/** Return whether the facet of `field` is open, or not drawn yet. */
export function isOpen(place, field) {
  const drawn = [...place.querySelectorAll(".facet")].find((one) => one.dataset.field === field);
  return !drawn || drawn.open;
}

/** Show placeholders for facets that are on their way. */
export function showPlaceholders(place) {
  if (!place.querySelector(".line")) place.append(...Array.from({ length: 6 }, () => make("div.line", { "aria-hidden": "true" })));
}

export function removePlaceholders(place) {
  for (const line of place.querySelectorAll(".line")) line.remove();
}

/** Return a filter that makes sense for these fields, as an example. */
export function example(counts, [number]) {
  const one = counts.find(({ values }) => values.length);
  const value = one && String(one.values[0].value);
  const parts = [
    ...(one ? [`${one.field}=${/^[\w.-]+$/.test(value) ? value : JSON.stringify(value)}`] : []),
    ...(number ? [`${number}>=10`] : []),
  ];
  return parts.join(" and ") || "width>=1000";
}

/** Draw facets into `place`, and keep which are open, their search text and scroll position. `changed` receives
 * (field, values or null, range); `opened` is called when the user opens another one. */
export function draw(place, counts, ranged, state, { changed, opened }) {
  const before = new Map([...place.querySelectorAll("details")].map((one) => [one.dataset.field, {
    open: one.open, scrolled: one.querySelector("ul")?.scrollTop ?? 0, sought: one.querySelector("[type=search]")?.value ?? "",
  }]));
  const focus = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const worth = (one) => state.values[one.field] || (one.values.length > (one.field === "label" ? 0 : 1) && one.distinct <= MOST_DISTINCT) || before.get(one.field)?.open;
  const was = (field, at) => before.get(field) ?? { open: (at === 0 && !before.size) || field in state.values || field in state.ranges, scrolled: 0, sought: "" };
  place.replaceChildren(
    ...counts.filter(worth).map((one, at) => ticks(one, state.values[one.field] ?? [], was(one.field, at), changed, opened)),
    ...ranged.map((field) => range(field, state.ranges[field] ?? [null, null], was(field, -1), changed)),
  );
  for (const one of place.querySelectorAll("details")) {
    const list = one.querySelector("ul");
    if (list) list.scrollTop = before.get(one.dataset.field)?.scrolled ?? 0;
  }
  if (focus) [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focus)?.focus({ preventScroll: true });
}

/** Return a field's name as people write it: "Base colour" for `baseColour` and `base_colour`. */
export function title(field) {
  const words = field.replace(/^metadata\./, "").replace(/([a-z\d])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").trim();
  const said = words.split(" ").map((word) => (/^[A-Z][a-z]/.test(word) ? word.toLowerCase() : word)).join(" ");
  return said.charAt(0).toUpperCase() + said.slice(1);
}

const summary = (field, active) => make("summary", { "data-key": `${field} itself`, title: `Name in filters: ${field}` },
  title(field), active ? make("span.count", {}, String(active)) : null);

function ticks(facet, chosen, { open, sought }, changed, opened) {
  const rest = chosen.filter((value) => !facet.values.some((one) => one.value === value)).map((value) => ({ value, count: 0 }));
  const lines = [...rest, ...facet.values].map(({ value, count }) => make("li", {}, make("label", {},
    make("input", {
      type: "checkbox", checked: chosen.includes(value), "data-key": `${facet.field} ${JSON.stringify(value)}`,
      onchange: (event) => changed(facet.field, event.target.checked ? [...chosen, value] : chosen.filter((one) => one !== value)),
    }),
    make("span", {}, String(value)), make("data", { value: String(count) }, number(count)))));
  const more = facet.distinct - facet.values.length;
  const none = make("li.quiet.name", {}, lines.length ? "No matching value" : "No values left");
  const look = (event) => {
    const words = event.target.value.trim().toLowerCase();
    for (const line of lines) line.hidden = !line.querySelector("span").textContent.toLowerCase().includes(words);
    none.hidden = lines.some((line) => !line.hidden);
  };
  const search = make("input", {
    type: "search", placeholder: `Search ${number(facet.distinct)} values`, "aria-label": `Search the values of ${title(facet.field)}`,
    autocomplete: "off", value: sought, "data-key": `${facet.field} sought`, oninput: look,
  });
  look({ target: search });
  const onClick = (event) => { // a click or a key on the heading is about to open it
    const closed = !event.currentTarget.open;
    if (closed && event.target.closest("summary")) setTimeout(opened);
  };
  return make("details.facet", { open, "data-field": facet.field, onclick: onClick },
    summary(facet.field, chosen.length),
    facet.distinct >= SEARCHABLE || sought ? search : null,
    make("ul", { tabindex: "-1" }, ...lines, none, more > 0 ? make("li.quiet.name", {}, `and ${number(more)} more: use the filter expression`) : null));
}

function range(field, [low, high], { open }, changed) {
  const end = (value, label, at) => make("input", {
    type: "number", step: "any", "aria-label": `${title(field)} ${label}`, placeholder: label,
    value: value === null ? "" : String(value), "data-key": `${field} ${label}`,
    onchange: (event) => {
      const ends = [low, high];
      ends[at] = event.target.value === "" ? null : Number(event.target.value);
      changed(field, null, ends);
    },
  });
  return make("details.facet", { open, "data-field": field }, summary(field, low !== null || high !== null ? 1 : 0),
    make("div.range", {}, end(low, "from", 0), make("span.quiet", { "aria-hidden": "true" }, "–"), end(high, "to", 1)));
}
