// The picture that is searched with, and the part of it.

import * as api from "./api.js";
import { cropping } from "./crop.js";
import { $, settled } from "./elements.js";
import { change, collection, state } from "./state.js";

const SMALL = 160; // pixels, below which a picture of a query is shown larger than it is

let query = null; // { src, name, of } of what is searched with; of: its digest, where it was given

/** { src, name } of what is searched with, or null. */
export const current = () => query;

const nudged = settled((crop) => change({ crop }, { push: false }), 250);
const showCrop = cropping($("frame"), $("crop"), { drawn: (crop) => change({ crop }), nudged });

/** Show what is searched with: `picture` where one was given, else the item of the state, or nothing. */
export function show(picture) {
  const before = query;
  if (state.id !== null) query = { src: api.thumbnailOf(collection(), state.id, 1200), name: state.id, of: null };
  else if (picture === null) query = null;
  else if (before?.of !== state.upload) query = { src: URL.createObjectURL(picture), name: picture.name || "your picture", of: state.upload };
  if (before?.of && before.of !== query?.of) URL.revokeObjectURL(before.src);
  $("given").hidden = query === null;
  if (query === null) return;
  if ($("picture").getAttribute("src") !== query.src) {
    $("frame").classList.remove("unseen");
    $("part").hidden = false;
    $("picture").src = query.src;
  }
  $("what").textContent = query.name.split("/").pop();
  $("what").title = query.name;
  document.title = `${$("what").textContent} · lookalike`;
  cutting(state.crop !== null);
  showCrop(state.crop);
}

/** Show nothing of a query that there is not, or that is no picture. */
export function hide() { $("given").hidden = true; }

$("picture").addEventListener("load", () => {
  const { naturalWidth: width, naturalHeight: height } = $("picture");
  const up = Math.min(2, SMALL / Math.max(width, height, 1));
  $("picture").style.width = up > 1 ? `${width * up}px` : "";
});
$("picture").addEventListener("error", () => { // TIFF, HEIC, or a file that is gone
  $("frame").classList.add("unseen");
  $("unseen").textContent = state.upload === null ? "The picture cannot be shown." : "This browser cannot show it; it is searched with all the same.";
  $("part").hidden = true;
});

function cutting(on) {
  $("frame").classList.toggle("cutting", on);
  $("part").setAttribute("aria-pressed", String(on));
}

$("part").addEventListener("click", () => {
  const on = !$("frame").classList.contains("cutting");
  cutting(on);
  if (!on) { if (state.crop) change({ crop: null }); return; }
  change({ crop: [0.2, 0.2, 0.8, 0.8] });
  $("crop").focus();
});
