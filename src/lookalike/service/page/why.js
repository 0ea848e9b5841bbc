// Why a result is like the query: what each region adds, drawn over both images, which point at each other.

import * as api from "./api.js";
import { $, icon, make } from "./elements.js";
import { load } from "./image-store.js";
import { uploads } from "./parts.js";
import { queryOf } from "./search.js";
import { collection, state } from "./state.js";

const ADDS = [235, 94, 0];
const TAKES = [20, 100, 200];
const DENSEST = 0.85;
const LONGEST = 480; // pixels of an overlay's longer side
const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
const largest = (grid) => Math.max(...grid.flat().map(Math.abs)) || 1;

let request = null; // AbortController of an explanation that is on its way

/** Return the button that explains `hit`; `places` has the elements around its images: { query, item }. */
export function button(hit, places) {
  request?.abort();
  const made = make("button", { type: "button", id: "why", "aria-pressed": "false" }, icon("why"), "Why alike");
  let shown = null;
  made.addEventListener("click", async () => {
    if (shown) {
      shown.remove();
      shown = null;
    } else {
      shown = await explain(hit, places, made);
    }
    made.setAttribute("aria-pressed", String(shown !== null));
  });
  return made;
}

/** Fetch an explanation, and show it. Return { remove }, or null where there is none. */
async function explain(hit, places, made) {
  const signal = (request = new AbortController()).signal;
  made.disabled = true;
  say(make("p", { role: "status" }, "Comparing regions …"));
  try {
    const images = await Promise.all(uploads(state).map(load));
    const found = await api.explain(collection(), hit.id, queryOf(state), images, signal);
    if (!made.isConnected) return null;
    return await draw(found, places);
  } catch (error) {
    if (!signal.aborted) say(make("p.says", { role: "alert" }, error.message));
    return null;
  } finally {
    made.disabled = false;
  }
}

const say = (...what) => $("why-says").replaceChildren(...what);
/** Remove what is left of an earlier explanation. */
export const clear = () => say();

async function draw(found, places) {
  const sides = {};
  for (const name of ["query", "item"]) {
    const image = places[name]?.querySelector("img");
    if (found[name] && image) sides[name] = await overlay(places[name], image, found[name]);
  }
  const highest = Math.max(...Object.values(sides).map((side) => largest(side.grid)));
  const says = make("p", { role: "status" });
  const rest = () => {
    for (const side of Object.values(sides)) side.paint(side.grid, highest);
    says.textContent = sides.query && sides.item ? "Point at a place to see its counterpart in the other image." : "The query is not one image, so only the result is coloured.";
  };
  const point = (name, [row, column]) => {
    const other = name === "query" ? "item" : "query";
    const side = sides[name];
    side.place = [row, column];
    if (!sides[other]) return;
    const shared = name === "query" ? found.pairs[row][column] : found.pairs.map((line) => line.map((one) => one[row][column]));
    const best = highestOf(shared);
    side.paint(side.grid, highest, [row, column], 0.35);
    sides[other].paint(shared, largest(shared), best);
    const adds = side.grid[row][column];
    says.textContent = `This place of the ${name === "query" ? "query" : "result"} adds ${signed(adds)}, most of all with the marked place (${signed(shared[best[0]][best[1]])}).`;
  };
  for (const [name, side] of Object.entries(sides)) side.listen((place) => point(name, place), rest);
  say(legend(highest), says, make("p.quiet", {}, found.adds_up ? `Together, the regions of an image add up to ${found.score.toFixed(3)}.` : "Each region was hidden in turn: these losses do not add up to the score."));
  rest();
  return {
    remove() {
      for (const side of Object.values(sides)) side.remove();
      say();
    },
  };
}

function legend(highest) {
  const canvas = make("canvas", { width: 201, height: 1, "aria-hidden": "true" });
  const pen = canvas.getContext("2d");
  for (let x = 0; x <= 200; x += 1) {
    pen.fillStyle = colour((x - 100) / 100);
    pen.fillRect(x, 0, 1, 1);
  }
  return make("div.scale", {}, make("span", {}, `${signed(-highest)} takes away`), canvas, make("span", {}, `adds ${signed(highest)}`));
}

const colour = (share) => `rgb(${(share < 0 ? TAKES : ADDS).join(" ")} / ${Math.min(Math.abs(share), 1) * DENSEST})`;

const highestOf = (grid) => {
  const flat = grid.flat();
  const at = flat.indexOf(Math.max(...flat));
  return [Math.floor(at / grid[0].length), at % grid[0].length];
};

/** Lay a canvas over `image`, which `place` surrounds. */
async function overlay(place, image, { area: [left, top, right, bottom], contributions: grid }) {
  await image.decode().catch(() => {});
  const { naturalWidth: wide, naturalHeight: tall } = image;
  const scale = LONGEST / Math.max(wide, tall, 1);
  const canvas = make("canvas.why", { width: Math.max(Math.round(wide * scale), 1), height: Math.max(Math.round(tall * scale), 1), tabIndex: 0, role: "img" });
  canvas.setAttribute("aria-label", `${image.alt}: regions that add to the score. Move between them with the arrow keys.`);
  const [rows, columns] = [grid.length, grid[0].length];
  const step = [(right - left) * canvas.width / columns, (bottom - top) * canvas.height / rows];
  const corner = [left * canvas.width, top * canvas.height];
  place.classList.add("explained");
  place.append(canvas);
  const side = { grid, place: null, remove() { canvas.remove(); place.classList.remove("explained"); } };

  side.paint = (values, most, mark = null, faint = 1) => {
    const small = make("canvas", { width: columns, height: rows });
    const dots = small.getContext("2d");
    const pixels = dots.createImageData(columns, rows);
    values.flat().forEach((value, at) => {
      const share = value / most;
      pixels.data.set([...(share < 0 ? TAKES : ADDS), Math.min(Math.abs(share), 1) * DENSEST * 255 * faint], at * 4);
    });
    dots.putImageData(pixels, 0, 0);
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(small, ...corner, step[0] * columns, step[1] * rows);
    if (!mark) return;
    for (const [style, width] of [["#000", 5], ["#fff", 2]]) {
      pen.strokeStyle = style;
      pen.lineWidth = width;
      pen.strokeRect(corner[0] + mark[1] * step[0] + 2, corner[1] + mark[0] * step[1] + 2, step[0] - 4, step[1] - 4);
    }
  };

  side.listen = (point, rest) => {
    const at = (event) => {
      const box = canvas.getBoundingClientRect(); // the image is shown whole in it, in the middle
      const fit = Math.min(box.width / canvas.width, box.height / canvas.height);
      const x = (event.clientX - box.left - (box.width - canvas.width * fit) / 2) / fit;
      const y = (event.clientY - box.top - (box.height - canvas.height * fit) / 2) / fit;
      const [row, column] = [Math.floor((y - corner[1]) / step[1]), Math.floor((x - corner[0]) / step[0])];
      const inside = x >= 0 && y >= 0 && x < canvas.width && y < canvas.height;
      return inside && row >= 0 && column >= 0 && row < rows && column < columns ? [row, column] : null;
    };
    const follow = (event) => {
      const place = at(event);
      if (place) point(place);
      else rest();
    };
    canvas.addEventListener("pointermove", follow);
    canvas.addEventListener("pointerdown", follow);
    canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") rest(); });
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) point(side.place ?? highestOf(grid)); });
    canvas.addEventListener("blur", rest);
    canvas.addEventListener("keydown", (event) => {
      const move = KEYS[event.key];
      if (!move) return;
      event.preventDefault();
      const [row, column] = side.place ?? highestOf(grid);
      point([clamp(row + move[0], 0, rows - 1), clamp(column + move[1], 0, columns - 1)]);
    });
  };
  return side;
}
