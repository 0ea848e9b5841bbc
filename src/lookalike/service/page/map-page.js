// The page of a collection's map. Its address holds the collection and the filter.

import * as address from "./address.js";
import * as api from "./api.js";
import { $, make, number, several } from "./elements.js";
import "./header.js";
import { aboutItem, showMap } from "./map.js";

const SIDE = 128; // pixels of a thumbnail on the map
const MOST_KEPT = 800; // thumbnails in memory
const AT_ONCE = 6; // thumbnails that are being loaded

const asked = new URLSearchParams(location.search);

function sayWhat(text) { $("about").textContent = text; }

/** Return the address of a search with an item. */
const searchWith = (collection, id) => `./${address.format({ ...address.EMPTY, collection, id })}`;

/** Return what loads thumbnails as they are drawn, the latest first, and forgets the oldest. */
function loader(collection) {
  const kept = new Map(); // id → image, or null for one that cannot be had
  const waiting = new Set();
  let loading = 0, redraw = () => {};
  const next = () => {
    while (loading < AT_ONCE && waiting.size) {
      const id = [...waiting].at(-1);
      waiting.delete(id);
      loading += 1;
      const image = new Image();
      const done = (found) => {
        loading -= 1;
        kept.set(id, found);
        if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
        redraw();
        next();
      };
      image.onload = () => done(image);
      image.onerror = () => done(null);
      image.src = api.thumbnailOf(collection, id, SIDE);
    }
  };
  return {
    onImages: (draw) => { redraw = draw; },
    imageOf: ({ id }) => {
      if (!kept.has(id)) { waiting.add(id); if (waiting.size > MOST_KEPT) waiting.delete(waiting.values().next().value); next(); return null; }
      const image = kept.get(id);
      return image && { image, x: 0, y: 0, width: image.naturalWidth, height: image.naturalHeight };
    },
  };
}

function describe(map) {
  const shown = map.sampled ? `${number(map.shown)} of ${several(map.items, "item")}, sampled at random` : several(map.items, "item");
  const kept = map.neighbours_kept === null ? "" : `; ${Math.round(100 * map.neighbours_kept)}% of the nearest neighbours are near on the map`;
  return `${shown}; ${several(map.clusters.length, "cluster")}${kept}`;
}

async function load() {
  const found = await api.collections();
  const usable = found.collections.filter((one) => !one.error);
  const collection = asked.get("c") ?? found.default ?? usable[0]?.name;
  if (!collection) { sayWhat("There is no collection yet."); return; }
  const names = found.collections.map((one) => one.name);
  $("collection").replaceChildren(...names.map((name) => make("option", { value: name, selected: name === collection }, name)));
  $("collection").parentElement.hidden = names.length < 2;
  $("collection").addEventListener("change", () => location.assign(`?${new URLSearchParams({ c: $("collection").value })}`));
  const home = `./${address.format({ ...address.EMPTY, collection })}`;
  $("home").href = home;
  $("back").href = home;
  const where = asked.get("where") ?? "";
  $("title").textContent = `Map of ${collection}${where ? `, ${where}` : ""}`;
  document.title = `Map of ${collection} · lookalike`;
  sayWhat("Computing the map …");
  const map = await api.map(collection, where);
  if (!map.shown) { sayWhat(map.notes[0]?.message ?? "There is nothing to show."); return; }
  sayWhat(describe(map));
  $("map").hidden = false;
  const images = loader(collection);
  showMap($("map"), map, {
    ...images,
    linkOf: (point) => searchWith(collection, point.id),
    detailsOf: (point) => {
      const about = aboutItem(point, map, make("img", { src: api.thumbnailOf(collection, point.id, 320), alt: "" }));
      about.querySelector("figcaption").append(make("a", { href: searchWith(collection, point.id) }, "Search with this item"));
      return about;
    },
  });
}

load().catch((error) => sayWhat(error.message));
