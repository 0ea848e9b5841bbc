// The query image and its crop.

import * as api from "./api.js";
import { enableCropping } from "./crop.js";
import { $, debounce } from "./elements.js";
import { showProposals } from "./proposals.js";
import { change, collection, state } from "./state.js";

const SMALL = 160; // pixels; smaller query images are enlarged

let query = null; // { src, name, digest } of the query image; digest is null for an item

/** Return { src, name } of the query image, or null. */
export const current = () => query;

const onNudge = debounce((crop) => change({ crop }, { push: false }), 250);
const showCrop = enableCropping($("frame"), $("crop"), { onDraw: (crop) => change({ crop }), onNudge });

/** Show the query image: `image` where one was given, else the item of the state, or nothing. */
export function show(image) {
  const before = query;
  if (state.id !== null) query = { src: api.thumbnailOf(collection(), state.id, 1200), name: state.id, digest: null };
  else if (image === null) query = null;
  else if (before?.digest !== state.upload) query = { src: URL.createObjectURL(image), name: image.name || "your image", digest: state.upload };
  if (before?.digest && before.digest !== query?.digest) URL.revokeObjectURL(before.src);
  $("query-panel").hidden = query === null;
  if (query === null) {
    if (state.words.trim()) document.title = `${state.words} · lookalike`;
    return;
  }
  if ($("query-image").getAttribute("src") !== query.src) {
    $("frame").classList.remove("unseen");
    $("crop-button").hidden = false;
    $("query-image").src = query.src;
  }
  $("query-name").textContent = query.name.split("/").pop();
  $("query-name").title = query.name;
  document.title = `${$("query-name").textContent} · lookalike`;
  setCropping(state.crop !== null);
  showCrop(state.crop);
}

/** Hide the query: it does not exist, or is not an image. */
export function hide() { $("query-panel").hidden = true; }

$("query-image").addEventListener("load", () => {
  const { naturalWidth: width, naturalHeight: height } = $("query-image");
  const up = Math.min(2, SMALL / Math.max(width, height, 1));
  $("query-image").style.width = up > 1 ? `${width * up}px` : "";
});
$("query-image").addEventListener("error", () => { // TIFF, HEIC, or a file that no longer exists
  $("frame").classList.add("unseen");
  $("unseen").textContent = state.upload === null ? "This image cannot be shown." : "Your browser cannot show this image, but the search uses it.";
  $("crop-button").hidden = true;
});

function setCropping(on) {
  $("frame").classList.toggle("cropping", on);
  $("crop-button").setAttribute("aria-pressed", String(on));
  showProposals(on && !$("frame").classList.contains("unseen"));
}

$("crop-button").addEventListener("click", () => {
  const on = !$("frame").classList.contains("cropping");
  setCropping(on);
  if (!on) { if (state.crop) change({ crop: null }); return; }
  change({ crop: [0.2, 0.2, 0.8, 0.8] });
  $("crop").focus();
});
