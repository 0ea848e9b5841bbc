// A map of a collection on a canvas: pan, zoom, point at an item, or walk through them by keyboard.
// The file that `lookalike map` writes and the web UI both use it.

const GOLDEN = 137.508; // degrees between the hues of neighbouring numbers: none come close
const SMALLEST = 22; // pixels of an image on the map …
const LARGEST = 112;
const NAMES = 26; // characters of a cluster's name on the map
const REACH = 28; // pixels from the pointer in which an item is found
const NO_LABEL = "(no label)";

/** Draw `map` (the JSON of a map) into `root`.
 *
 * `imageOf(point)` returns what to draw (`{ image, x, y, width, height }`, the part of an image) or null;
 * `redraw` that it is given with `onImages` draws again when images have arrived. `detailsOf(point)` returns
 * an element with more about an item, `linkOf(point)` the address that a click opens, or null.
 */
export function showMap(root, map, { imageOf, onImages = () => {}, detailsOf, linkOf = () => null }) {
  const canvas = root.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const side = root.querySelector(".map-about");
  const legend = root.querySelector(".map-legend");
  const colourBy = root.querySelector("select");
  const only = [...root.querySelectorAll("[data-only]")];
  const points = map.points;
  const view = { x: 0.5, y: 0.5, zoom: 1 };
  let width = 0, height = 0, chosen = null, fixed = false, groups = [], hidden = new Set(), frame = 0;

  // -- groups: what colours mean ------------------------------------------------------------

  function makeGroups() {
    if (colourBy.value === "label") {
      const counts = new Map();
      for (const point of points) counts.set(point.label ?? NO_LABEL, (counts.get(point.label ?? NO_LABEL) ?? 0) + 1);
      const names = [...counts].sort((one, other) => other[1] - one[1]);
      const number = new Map(names.map(([name], at) => [name, at]));
      for (const point of points) point.group = number.get(point.label ?? NO_LABEL);
      groups = names.map(([name, items]) => ({ name, items }));
    } else {
      for (const point of points) point.group = point.cluster;
      groups = map.clusters.map((one) => ({ ...one }));
    }
    groups.forEach((group, at) => { group.hue = (at * GOLDEN + 172) % 360; });
    hidden = new Set();
    legend.replaceChildren(...groups.slice(0, 60).map((group, at) => legendRow(group, at)));
    colourLegend();
  }

  function legendRow(group, at) {
    const row = document.createElement("button");
    row.type = "button";
    row.setAttribute("aria-pressed", "true");
    const dot = document.createElement("i");
    const name = document.createElement("span");
    name.textContent = group.name;
    const count = document.createElement("small");
    count.textContent = group.items.toLocaleString("en");
    row.append(dot, name, count);
    row.addEventListener("click", () => {
      if (hidden.has(at)) hidden.delete(at); else hidden.add(at);
      row.setAttribute("aria-pressed", String(!hidden.has(at)));
      draw();
    });
    row.addEventListener("dblclick", () => { // this group alone, or all again
      const alone = hidden.size === groups.length - 1 && !hidden.has(at);
      hidden = alone ? new Set() : new Set(groups.keys());
      hidden.delete(at);
      for (const [other, one] of [...legend.children].entries()) one.setAttribute("aria-pressed", String(!hidden.has(other)));
      draw();
    });
    return row;
  }

  const isDark = () => getComputedStyle(root).getPropertyValue("color-scheme").trim() === "dark"
    || (getComputedStyle(root).getPropertyValue("color-scheme").trim() !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  const colourOf = (group) => `hsl(${group.hue} ${isDark() ? "62% 64%" : "68% 40%"})`;
  function colourLegend() {
    for (const [at, row] of [...legend.children].entries()) row.firstChild.style.background = colourOf(groups[at]);
  }

  // -- where things are ---------------------------------------------------------------------

  const ends = (axis) => points.reduce(([low, high], point) => [Math.min(low, point[axis]), Math.max(high, point[axis])], [1, 0]);
  const [left, right] = ends("x"), [top, bottom] = ends("y");
  const HOME = { x: (left + right) / 2, y: (top + bottom) / 2, zoom: 1 };
  Object.assign(view, HOME);
  const scale = () => 0.88 * view.zoom * Math.min(width / Math.max(right - left, 0.01), height / Math.max(bottom - top, 0.01));
  const toScreen = (point) => [(point.x - view.x) * scale() + width / 2, (point.y - view.y) * scale() + height / 2];
  const shows = (point) => !hidden.has(point.group)
    && only.every((box) => !box.checked || point[box.dataset.only]);

  function bound() {
    view.zoom = Math.min(Math.max(view.zoom, 0.8), 400);
    view.x = Math.min(Math.max(view.x, -0.1), 1.1);
    view.y = Math.min(Math.max(view.y, -0.1), 1.1);
  }

  function zoomAt(factor, x = width / 2, y = height / 2) {
    const before = scale();
    view.zoom *= factor;
    bound();
    const after = scale();
    view.x += (x - width / 2) * (1 / before - 1 / after);
    view.y += (y - height / 2) * (1 / before - 1 / after);
    bound();
    draw();
  }

  // -- drawing ------------------------------------------------------------------------------

  function draw() { if (!frame) frame = requestAnimationFrame(paint); }

  function paint() {
    frame = 0;
    const ink = getComputedStyle(root).color, ground = getComputedStyle(canvas.parentElement).backgroundColor;
    pen.clearRect(0, 0, width, height);
    const colours = groups.map(colourOf);
    const seen = [];
    for (const point of points) {
      if (!shows(point)) continue;
      const [x, y] = toScreen(point);
      if (x < -60 || y < -60 || x > width + 60 || y > height + 60) continue;
      seen.push([point, x, y]);
    }
    // As large as leaves room for all that are in view, and never smaller than can be recognised.
    const size = Math.min(LARGEST, Math.max(SMALLEST, 0.5 * Math.sqrt(width * height / Math.max(seen.length, 1))));
    const radius = Math.min(6, Math.max(2.2, size / 9));
    const taken = new Map(); // cell of a grid → the middle of the image in it
    const images = [];
    for (const [point, x, y] of seen) { // an image where none is yet, else a dot
      const cell = `${Math.floor(x / size)},${Math.floor(y / size)}`;
      const near = [-1, 0, 1].some((i) => [-1, 0, 1].some((j) => {
        const other = taken.get(`${Math.floor(x / size) + i},${Math.floor(y / size) + j}`);
        return other && Math.abs(other[0] - x) < size && Math.abs(other[1] - y) < size;
      }));
      const part = near ? null : imageOf(point);
      if (part) { taken.set(cell, [x, y]); images.push([point, x, y, part]); continue; }
      pen.globalAlpha = 0.85;
      pen.fillStyle = colours[point.group];
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    for (const [point, x, y, part] of images) drawImage(part, x, y, size, colours[point.group], 2);
    if (colourBy.value !== "label" && !only.some((box) => box.checked)) nameClusters(ink, ground);
    if (chosen && shows(chosen)) {
      const [x, y] = toScreen(chosen);
      const part = imageOf(chosen);
      if (part) drawImage(part, x, y, Math.max(size * 1.5, 64), ink, 3);
      else { pen.strokeStyle = ink; pen.lineWidth = 2; pen.beginPath(); pen.arc(x, y, radius + 4, 0, 7); pen.stroke(); }
    }
  }

  function drawImage({ image, x: left, y: top, width: w, height: h }, x, y, size, colour, line) {
    const fit = size / Math.max(w, h), wide = w * fit, tall = h * fit;
    pen.fillStyle = colour;
    pen.fillRect(x - wide / 2 - line, y - tall / 2 - line, wide + 2 * line, tall + 2 * line);
    pen.drawImage(image, left, top, w, h, x - wide / 2, y - tall / 2, wide, tall);
  }

  function nameClusters(ink, ground) {
    pen.font = "600 13px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    const placed = [];
    for (const [at, group] of groups.entries()) {
      if (hidden.has(at)) continue;
      const [x, y] = toScreen(group);
      const text = group.name.length > NAMES ? `${group.name.slice(0, NAMES - 1)}…` : group.name;
      const half = pen.measureText(text).width / 2 + 4;
      if (x < half || x > width - half || y < 12 || y > height - 12) continue;
      if (placed.some(([px, py, p]) => Math.abs(px - x) < p + half && Math.abs(py - y) < 20)) continue;
      placed.push([x, y, half]);
      pen.strokeStyle = ground;
      pen.lineWidth = 5;
      pen.strokeText(text, x, y);
      pen.fillStyle = ink;
      pen.fillText(text, x, y);
    }
  }

  // -- choosing an item ---------------------------------------------------------------------

  function nearestTo(x, y, reach = REACH, wanted = () => true) {
    let best = null, least = reach * reach;
    for (const point of points) {
      if (!shows(point) || !wanted(point)) continue;
      const [px, py] = toScreen(point);
      const apart = (px - x) ** 2 + (py - y) ** 2;
      if (apart < least) { least = apart; best = point; }
    }
    return best;
  }

  function choose(point, { bring = false } = {}) {
    if (point === chosen) return;
    chosen = point;
    side.replaceChildren(point ? detailsOf(point) : hint());
    if (point && bring) {
      const [x, y] = toScreen(point);
      const edge = Math.min(60, width / 6);
      if (x < edge || y < edge || x > width - edge || y > height - edge) { view.x = point.x; view.y = point.y; }
    }
    draw();
  }

  function hint() {
    const text = document.createElement("p");
    text.className = "map-quiet";
    text.textContent = matchMedia("(hover: none)").matches
      ? "Tap an item to see what it is." : "Point at an item, or walk through them with the arrow keys.";
    return text;
  }

  /** Return the next item in a direction: near, and not far off to the side. */
  function step(right, down) {
    if (!chosen) return nearestTo(width / 2, height / 2, Infinity);
    const [x, y] = toScreen(chosen);
    let best = null, least = Infinity;
    for (const point of points) {
      if (point === chosen || !shows(point)) continue;
      const [px, py] = toScreen(point);
      const along = (px - x) * right + (py - y) * down;
      const aside = Math.abs((px - x) * down) + Math.abs((py - y) * right);
      if (along <= 0.01 || aside > 2 * along) continue;
      if (along + 2 * aside < least) { least = along + 2 * aside; best = point; }
    }
    return best ?? chosen;
  }

  const open = (point) => { const link = linkOf(point); if (link) location.assign(link); };

  // -- events -------------------------------------------------------------------------------

  const pressed = new Map();
  let moved = false;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pressed.set(event.pointerId, [event.offsetX, event.offsetY]);
    moved = false;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pressed.get(event.pointerId), now = [event.offsetX, event.offsetY];
    if (!before) { if (!fixed) choose(nearestTo(...now)); return; }
    if (pressed.size === 2) {
      const [other] = [...pressed].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      moved = true;
      zoomAt(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (moved || Math.hypot(now[0] - before[0], now[1] - before[1]) > 4) {
      moved = true;
      view.x -= (now[0] - before[0]) / scale();
      view.y -= (now[1] - before[1]) / scale();
      bound();
      draw();
    } else return;
    pressed.set(event.pointerId, now);
  });
  const release = (event) => {
    if (!pressed.delete(event.pointerId) || moved || event.type === "pointercancel") return;
    const found = nearestTo(event.offsetX, event.offsetY);
    fixed = found !== null && !(fixed && found === chosen);
    choose(found);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("dblclick", (event) => { if (chosen) open(chosen); else zoomAt(2, event.offsetX, event.offsetY); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.offsetX, event.offsetY);
  }, { passive: false });
  const reset = () => { Object.assign(view, HOME); fixed = false; choose(null); draw(); };
  const KEYS = {
    ArrowRight: () => choose(step(1, 0), { bring: true }), ArrowLeft: () => choose(step(-1, 0), { bring: true }),
    ArrowDown: () => choose(step(0, 1), { bring: true }), ArrowUp: () => choose(step(0, -1), { bring: true }),
    "+": () => zoomAt(1.5), "=": () => zoomAt(1.5), "-": () => zoomAt(1 / 1.5), 0: reset,
    Enter: () => chosen && open(chosen), Escape: () => { fixed = false; choose(null); },
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    fixed = event.key.startsWith("Arrow") || fixed;
    if ((event.key === "+" || event.key === "=" || event.key === "-") && chosen) {
      const [x, y] = toScreen(chosen);
      zoomAt(event.key === "-" ? 1 / 1.5 : 1.5, x, y);
    } else KEYS[event.key]();
  });
  for (const button of root.querySelectorAll("[data-zoom]"))
    button.addEventListener("click", () => (button.dataset.zoom === "0" ? reset() : zoomAt(Number(button.dataset.zoom))));
  for (const box of only) box.addEventListener("change", draw);
  colourBy.addEventListener("change", () => { makeGroups(); draw(); });
  const recolour = () => { colourLegend(); draw(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  new ResizeObserver(() => {
    const sharp = devicePixelRatio || 1;
    width = canvas.clientWidth;
    height = canvas.clientHeight;
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(height * sharp);
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    draw();
  }).observe(canvas);

  for (const box of only) {
    const count = points.filter((point) => point[box.dataset.only]).length;
    box.disabled = count === 0;
    box.parentElement.querySelector("small").textContent = count.toLocaleString("en");
  }
  if (!points.some((point) => point.label)) colourBy.querySelector('[value="label"]').disabled = true;
  onImages(draw);
  makeGroups();
  side.replaceChildren(hint());
  draw();
}

/** Return an element that says what is known of an item; `image` is an element, or null. */
export function aboutItem(point, map, image) {
  const about = document.createElement("figure");
  const text = document.createElement("figcaption");
  const line = (name, value) => {
    if (value === null || value === undefined || value === "") return;
    const row = document.createElement("div");
    const label = document.createElement("small");
    label.textContent = `${name} `;
    row.append(label, value);
    text.append(row);
  };
  const id = document.createElement("strong");
  id.textContent = point.id;
  text.append(id);
  line("label", point.label);
  line("cluster", map.clusters[point.cluster]?.name);
  line("most similar", point.nearest === null ? null : `${point.nearest.id} (${point.nearest.score.toFixed(3)})`);
  line("uniqueness", `${point.uniqueness.toFixed(2)}${point.outlier ? ", an outlier" : ""}`);
  if (image) about.append(image);
  about.append(text);
  return about;
}
