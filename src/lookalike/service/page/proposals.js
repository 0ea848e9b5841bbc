// Crops that the service proposes for the query image, as small images to tap.

import * as api from "./api.js";
import { $, make } from "./elements.js";
import { load } from "./image-store.js";
import { change, collection, state } from "./state.js";

const SIDE = 52; // pixels, on a display with one pixel to each CSS pixel
const ROUND = 1e-3; // difference in any side of a box below which it is the same

let shown = null; // what the proposals are of
let proposed = [];

/** Show the proposals for the query image while it is being cropped; hide them otherwise. */
export async function showProposals(cropping) {
  const key = cropping ? `${collection()}\n${state.id ?? ""}\n${state.upload ?? ""}` : null;
  if (key === shown) return mark();
  shown = key;
  draw([]);
  if (key === null) return;
  try {
    const image = state.upload === null ? null : await load(state.upload);
    const { crops } = await api.proposeCrops(collection(), state.id, image);
    if (shown === key) draw(crops); // else it is another image by now
  } catch {
    // An encoder without a map, or an item without a file: a box can still be drawn by hand.
  }
}

function draw(boxes) {
  proposed = boxes;
  $("proposals").hidden = !boxes.length;
  $("proposals").querySelector("ul").replaceChildren(...boxes.map((box, at) => make("li", {},
    make("button.plain", { type: "button", "aria-label": `Crop to suggestion ${at + 1}`, onclick: () => change({ crop: box }) }, cut(box)))));
  mark();
}

/** Mark the proposal that is the crop. */
function mark() {
  for (const [at, button] of [...$("proposals").querySelectorAll("button")].entries()) {
    const chosen = state.crop !== null && proposed[at].every((side, place) => Math.abs(side - state.crop[place]) < ROUND);
    button.setAttribute("aria-pressed", String(chosen));
  }
}

/** Return the part of the query image. */
function cut([left, top, right, bottom]) {
  const image = $("query-image");
  const canvas = make("canvas", { width: 2 * SIDE, height: 2 * SIDE, "aria-hidden": "true" });
  const paint = () => {
    const [width, height] = [(right - left) * image.naturalWidth, (bottom - top) * image.naturalHeight];
    const scale = canvas.width / Math.min(width, height); // it fills the square
    const side = canvas.width / scale;
    canvas.getContext("2d").drawImage(image, left * image.naturalWidth + (width - side) / 2, top * image.naturalHeight + (height - side) / 2, side, side, 0, 0, canvas.width, canvas.height);
  };
  if (image.complete && image.naturalWidth) paint();
  else image.addEventListener("load", paint, { once: true });
  return canvas;
}
