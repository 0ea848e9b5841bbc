// The grid of results. Each card links to a search with its item.

import * as address from "./address.js";
import * as api from "./api.js";
import { icon, make } from "./elements.js";

const SIDE = 480; // of the thumbnails, in pixels
const LEAST_SHAPE = 0.6;
const MOST_SHAPE = 2.6;
const LARGEST_SCALE = 2; // how much a small image may be enlarged

/** What a new query begins with. */
export const FRESH = Object.freeze({ id: null, upload: null, words: "", crop: null, weight: 1, also: [], liked: [], disliked: [] });

const shapeOf = (hit) => Math.min(Math.max(hit.width / hit.height || 1, LEAST_SHAPE), MOST_SHAPE);
const EVEN = 1.06; // up to this ratio of widest to narrowest, images count as one shape

/** Return an item's name: a title or name in its metadata, its label, or its file's name. */
export function nameOf(hit) {
  const titled = Object.entries(hit.metadata ?? {}).find(([field, value]) => typeof value === "string" && value.trim() && IS_TITLE.test(field));
  return titled?.[1] ?? hit.label ?? hit.id.split("/").pop();
}
const IS_TITLE = /(^|[^a-zA-Z])([tT]itle|[nN]ame)$|[a-z](Title|Name)$/;

/** Return the aspect ratio that all images of `hits` share, or null. */
export function commonShape(hits) {
  const shapes = hits.map(shapeOf).sort((a, b) => a - b);
  return shapes.length && shapes.at(-1) / shapes[0] <= EVEN ? shapes[shapes.length >> 1] : null;
}

/** Return a card for each hit. `acts` is called with (action, hit); `state` is the query that found them. */
export function cards(hits, state, collection, acts) {
  return hits.map((hit, at) => card(hit, at, state, collection, acts));
}

/** Return the largest useful row height in pixels, where most images of `hits` are small; or null. */
export function largestRow(hits) {
  const heights = hits.map((hit) => hit.height).filter(Boolean).sort((a, b) => a - b);
  const middle = heights[heights.length >> 1];
  return middle ? Math.max(112, Math.round(middle * LARGEST_SCALE)) : null;
}

/** Return the name of an orientation in words: `mirrored-90` is "mirrored, turned 90°". */
const describeOrientation = (one) => one.split("-").map((part) => (/^\d+$/.test(part) ? `${part}°` : part)).join(" ").replace(/^mirrored (.+)/, "mirrored, turned $1");

/** Return placeholders for results that are on their way. */
export function placeholders(count) {
  const shapes = [1, 0.75, 1.33, 1, 1.5, 0.8];
  return Array.from({ length: count }, (_, at) => {
    const one = make("li.card.waiting", { "aria-hidden": "true" });
    one.style.setProperty("--shape", shapes[at % shapes.length]);
    return one;
  });
}

/** Return the state of a search with an item: the words that found it have done their work. What was disliked
 * before there was a query belongs to this one. */
export const searchFrom = (state, id) => ({ ...state, ...FRESH, id, disliked: address.hasQuery(state) ? [] : state.disliked.filter((one) => one !== id) });

function card(hit, at, state, collection, acts) {
  const scored = hit.score !== undefined;
  const score = scored ? make("data", { value: String(hit.score), title: hit.by === "words" ? "Share of the words: 1 means all of them" : "Cosine similarity: 1 means identical, around 0 means unrelated" }, hit.score.toFixed(2)) : null;
  const match = hit.match ? make("span.match", {}, hit.match) : null;
  const name = nameOf(hit);
  const turned = hit.orientation && hit.orientation !== "upright" ? make("span.kind", { title: "How the query is turned to look like this image" }, describeOrientation(hit.orientation)) : null;
  const kind = hit.label !== null && hit.label !== undefined && hit.label !== name ? make("span.kind", {}, hit.label) : null;
  const description = `${name}${kind ? `, ${hit.label}` : ""}${scored ? `, ${hit.by === "words" ? "words" : "similarity"} ${hit.score.toFixed(2)}` : ""}${hit.match ? `, ${hit.match} match` : ""}${turned ? `, query ${turned.textContent}` : ""}`;
  const link = make("a", { href: address.format(searchFrom(state, hit.id)), "aria-label": `${description}. Find similar images`, title: hit.id },
    thumbnail(hit, at), make("div.caption", {}, make("span.called", {}, name), kind || turned || match || score ? make("div.under", {}, kind, turned, match, score) : null));
  const act = (what, drawn, label, pressed) => make("button.plain", {
    type: "button", title: label, "aria-label": `${label}: ${name}`, "data-act": what,
    ...(pressed === undefined ? {} : { "aria-pressed": String(pressed) }),
    onclick: () => acts(what, hit),
  }, ...drawn.map(icon));
  const one = make("li.card", { "data-id": hit.id }, link,
    make("div.acts", {},
      act("like", ["like"], "More like this", state.liked.includes(hit.id)),
      act("dislike", ["dislike"], "Less like this", state.disliked.includes(hit.id)),
      act("compare", ["compare", "more"], "Show details")));
  one.style.setProperty("--shape", shapeOf(hit).toFixed(4));
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return; // the browser opens a new tab
    event.preventDefault();
    acts("go", hit);
  });
  link.addEventListener("keydown", (event) => {
    const what = { c: "compare", a: "add", "+": "like", "-": "dislike" }[event.key];
    if (!what || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts(what, hit);
  });
  return one;
}

function thumbnail(hit, at) {
  const missing = (why) => make("div.missing", {}, icon("missing"), why);
  const src = api.thumbnail(hit, SIDE);
  if (src === null) return missing("No preview available");
  const shown = make("img.waiting", {
    alt: "", decoding: "async", draggable: false, loading: at < 12 ? "eager" : "lazy",
    onload: () => shown.classList.remove("waiting"),
    onerror: () => shown.replaceWith(missing("Cannot be shown")),
  });
  shown.src = src;
  return hit.box ? make("div.pic", {}, shown, region(hit.box)) : shown;
}

/** Return the outline of the part of an image that the query is like. */
function region([left, top, right, bottom]) {
  const outline = make("i.region", { title: "The part that is like the query" });
  Object.assign(outline.style, { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * (right - left)}%`, height: `${100 * (bottom - top)}%` });
  return outline;
}

/** Let arrow keys move the focus among the cards of `grid`; up and down go to the nearest card of the next row. */
export function enableArrowKeys(grid) {
  grid.addEventListener("keydown", (event) => {
    const here = event.target.closest("a");
    if (!here || event.altKey || event.ctrlKey || event.metaKey) return;
    const links = [...grid.querySelectorAll(".card:not([hidden]) > a")];
    const at = links.indexOf(here);
    const next = {
      ArrowLeft: () => links[at - 1], ArrowRight: () => links[at + 1],
      ArrowUp: () => nearestInNextRow(links, here, false), ArrowDown: () => nearestInNextRow(links, here, true),
      Home: () => links[0], End: () => links.at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next()?.focus();
  });
}

function nearestInNextRow(links, here, down) {
  const from = here.getBoundingClientRect();
  const middle = from.left + from.width / 2;
  let best = null;
  let least = Infinity;
  for (const link of links) {
    const box = link.getBoundingClientRect();
    const rows = down ? box.top - from.top : from.top - box.top;
    if (rows < from.height / 2) continue;
    const far = rows * 10 + Math.abs(box.left + box.width / 2 - middle);
    if (far < least) { least = far; best = link; }
  }
  return best;
}

/** Replace the cards of `grid`, and keep the focus on the same card, or else move it to the first. */
export function replaceCards(grid, made) {
  const held = grid.contains(document.activeElement) ? document.activeElement : null;
  const id = held?.closest(".card")?.dataset.id;
  const act = held?.dataset.act;
  grid.replaceChildren(...made);
  if (!held) return;
  const same = made.find((one) => one.dataset.id === id);
  ((act && same?.querySelector(`[data-act="${act}"]`)) ?? (same ?? made[0])?.querySelector("a") ?? grid.parentElement).focus({ preventScroll: true });
}
