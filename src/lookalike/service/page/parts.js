// Further query images beside the first one: chips, each with a weight.

import * as api from "./api.js";
import { $, icon, make } from "./elements.js";
import { load } from "./image-store.js";
import { change, collection, state } from "./state.js";

const WEIGHTS = [[0.25, "¼"], [0.5, "½"], [1, "1"], [2, "2"], [4, "4"]];
const shown = new Map(); // digest of an image of this browser → its URL

/** Return whether the query has several images. */
export const areSeveral = (of) => of.also.length > 0;

const lacksFirst = (of) => of.id === null && of.upload === null;

/** Return the change of a state that adds images to the query: `{ id }` or `{ upload }` each. */
export function adding(of, images) {
  const known = (one) => (one.id !== undefined ? of.id === one.id : of.upload === one.upload)
    || of.also.some((other) => other.id === one.id && other.upload === one.upload);
  const fresh = images.filter((one) => !known(one));
  const changed = {};
  if (lacksFirst(of) && fresh.length) {
    const { id = null, upload = null } = fresh.shift();
    Object.assign(changed, { id, upload, crop: null });
  }
  if (fresh.length) changed.also = [...of.also, ...fresh.map((one) => ({ ...one, weight: 1 }))];
  return changed;
}

/** Return the digests of all images that the query sends, in the order in which it sends them. */
export const uploads = (of) => [of.upload, ...of.also.map((one) => one.upload)].filter((one) => one !== null && one !== undefined);

/** Return the parts of a query with several images, as the service takes them. */
export function parts(of) {
  let sent = 0;
  const source = (one) => (one.id !== null && one.id !== undefined ? { id: one.id } : { image: sent++ });
  const first = lacksFirst(of) ? [] : [{ ...source(of), weight: of.weight, ...(of.crop ? { crop: of.crop } : {}) }];
  const words = of.words.trim() ? [{ text: of.words }] : [];
  return [...first, ...of.also.map((one) => ({ ...source(one), weight: one.weight })), ...words];
}

/** Show the chips, the weight of the first image, and the choice of `mix` where there is something to mix. */
export async function show() {
  $("also").hidden = !areSeveral(state);
  $("weight").hidden = !areSeveral(state) || lacksFirst(state);
  $("weight").replaceChildren(weightOf(state.weight, "this image", (weight) => change({ weight })));
  $("mix-row").hidden = !areSeveral(state) && !state.liked.length;
  $("mix").value = state.mix;
  const chips = state.also.map((one, at) => make("li", {},
    make("button.plain", { type: "button", "aria-label": `Remove ${nameOf(one)} from the query`, title: "Remove", onclick: () => change({ also: state.also.filter((_, other) => other !== at) }) },
      preview(one), icon("close")),
    weightOf(one.weight, nameOf(one), (weight) => change({ also: state.also.map((other, place) => (place === at ? { ...other, weight } : other)) }))));
  $("also").querySelector("ul").replaceChildren(...chips);
}

const nameOf = (one) => (one.id !== undefined ? one.id.split("/").pop() : "your image");

function preview(one) {
  if (one.id !== undefined) return make("img", { src: api.thumbnailOf(collection(), one.id, 120), alt: "" });
  const image = make("img", { alt: "" });
  const known = shown.get(one.upload);
  if (known) image.src = known;
  else load(one.upload).then((blob) => {
    if (!blob) return;
    shown.set(one.upload, URL.createObjectURL(blob));
    image.src = shown.get(one.upload);
  });
  return image;
}

function weightOf(weight, name, changed) {
  const known = WEIGHTS.some(([value]) => value === weight) ? WEIGHTS : [...WEIGHTS, [weight, String(weight)]];
  const choice = make("select.weight", { "aria-label": `Weight of ${name}`, title: "Weight", onchange: () => changed(Number(choice.value)) },
    ...known.map(([value, text]) => make("option", { value: String(value), selected: value === weight }, `× ${text}`)));
  return choice;
}

$("mix").addEventListener("change", () => change({ mix: $("mix").value }));
