// The grid of answers. Each card is a link to the search that goes on from it.

import * as address from "./address.js";
import * as api from "./api.js";
import { icon, make } from "./elements.js";

const ratio = (hit) => Math.min(Math.max(hit.width / hit.height || 1, 0.4), 2.8);
const nameOf = (hit) => hit.label ?? hit.id.split("/").pop();

/** `hits` as cards; `acts` hears (what, hit, card), `state` is what they answer. */
export function cards(hits, state, collection, acts) {
  return hits.map((hit) => card(hit, state, collection, acts));
}

/** What to show where answers will be. */
export function waiting(count) {
  const shapes = [1, 0.75, 1.33, 1, 1.5, 0.8];
  return Array.from({ length: count }, (_, at) => {
    const one = make("li.card.waiting", { "aria-hidden": "true" });
    one.style.setProperty("--shape", shapes[at % shapes.length]);
    return one;
  });
}

/** What a state becomes when a person goes on from an item. */
export const goingOn = (state, id) => ({ ...state, id, upload: null, crop: null, liked: [], disliked: [] });

function card(hit, state, collection, acts) {
  const picture = make("img.waiting", {
    alt: "", decoding: "async",
    onload: () => picture.classList.remove("waiting"),
    onerror: () => { picture.classList.replace("waiting", "gone"); picture.alt = "The picture is not there any more"; },
  });
  picture.src = api.thumbnail(hit, 480) ?? api.thumbnailOf(collection, hit.id, 480);
  const scored = hit.score !== undefined;
  const score = scored ? make("data", { value: String(hit.score), title: "Cosine similarity: 1 is the same, around 0 has nothing in common" }, hit.score.toFixed(2)) : null;
  const said = `${nameOf(hit)}${scored ? `, similarity ${hit.score.toFixed(2)}` : ""}`;
  const link = make("a", { href: address.written(goingOn(state, hit.id)), "aria-label": `${said}. Find what looks like it`, title: hit.id },
    picture, make("div.caption", {}, make("span", {}, nameOf(hit)), score));
  const act = (what, drawn, label, pressed) => make("button.plain", {
    type: "button", title: label, "aria-label": `${label}: ${nameOf(hit)}`, "data-act": what,
    ...(pressed === undefined ? {} : { "aria-pressed": String(pressed) }),
    onclick: () => acts(what, hit),
  }, icon(drawn));
  const one = make("li.card", { "data-id": hit.id }, link,
    make("div.acts", {},
      act("like", "add", "More like this", state.liked.includes(hit.id)),
      act("dislike", "less", "Less like this", state.disliked.includes(hit.id)),
      act("compare", "compare", "Look at it side by side")));
  one.style.setProperty("--shape", ratio(hit).toFixed(4));
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return; // a new tab
    event.preventDefault();
    acts("go", hit);
  });
  link.addEventListener("keydown", (event) => {
    const what = { c: "compare", "+": "like", "-": "dislike" }[event.key];
    if (!what || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    acts(what, hit);
  });
  return one;
}

/** Arrow keys walk among the cards of `grid`, up and down to the nearest in the next row. */
export function walking(grid) {
  grid.addEventListener("keydown", (event) => {
    const here = event.target.closest("a");
    if (!here || !event.key.startsWith("Arrow") || event.altKey) return;
    const links = [...grid.querySelectorAll(".card:not([hidden]) > a")];
    const at = links.indexOf(here);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = step ? links[at + step] : across(links, here, event.key === "ArrowDown");
    event.preventDefault();
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  });
}

function across(links, here, down) {
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
