// The box on the query picture: drawn, moved, pulled at its corners, or moved by keys.

const LEAST = 0.04; // of a side
const STEP = 0.02;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** `box` after one of its corners or all of it has moved by (dx, dy), within the picture. */
export function moved(box, grip, dx, dy) {
  let [left, top, right, bottom] = box;
  if (grip === "all") {
    dx = clamp(dx, -left, 1 - right);
    dy = clamp(dy, -top, 1 - bottom);
    return [left + dx, top + dy, right + dx, bottom + dy];
  }
  if (grip.includes("w")) left = clamp(left + dx, 0, right - LEAST);
  if (grip.includes("e")) right = clamp(right + dx, left + LEAST, 1);
  if (grip.includes("n")) top = clamp(top + dy, 0, bottom - LEAST);
  if (grip.includes("s")) bottom = clamp(bottom + dy, top + LEAST, 1);
  return [left, top, right, bottom];
}

/** The box between two corners. */
export const between = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];

/** Let a person cut in `frame`; `drawn` hears each box that was drawn, or null, `nudged` each step by
 * a key. Answers `show(box or null)`. */
export function cropping(frame, crop, { drawn, nudged }) {
  let box = null;
  let grabbed = null; // { grip, from, start }

  const draw = () => {
    crop.hidden = box === null;
    if (box === null) return;
    const [left, top, right, bottom] = box.map((one) => one * 100);
    Object.assign(crop.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  };
  const place = (event) => {
    const all = frame.getBoundingClientRect();
    return [clamp((event.clientX - all.left) / all.width, 0, 1), clamp((event.clientY - all.top) / all.height, 0, 1)];
  };

  frame.addEventListener("pointerdown", (event) => {
    if (!frame.classList.contains("cutting") || event.button !== 0) return;
    event.preventDefault();
    const grip = event.target.dataset.grip ?? (event.target === crop ? "all" : "new");
    grabbed = { grip, from: place(event), start: box };
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!grabbed) return;
    const to = place(event);
    box = grabbed.grip === "new" ? between(grabbed.from, to) : moved(grabbed.start, grabbed.grip, to[0] - grabbed.from[0], to[1] - grabbed.from[1]);
    draw();
  });
  const release = () => {
    if (!grabbed) return;
    const [left, top, right, bottom] = box ?? [0, 0, 0, 0];
    if (right - left < LEAST || bottom - top < LEAST) box = grabbed.start; // a click, not a box
    const before = grabbed.start;
    grabbed = null;
    draw();
    if (box !== before) drawn(box);
  };
  frame.addEventListener("pointerup", release);
  frame.addEventListener("pointercancel", () => { // the browser took the finger: to scroll, say
    if (!grabbed) return;
    box = grabbed.start;
    grabbed = null;
    draw();
  });

  crop.addEventListener("keydown", (event) => {
    if (["Delete", "Escape"].includes(event.key)) { drawn(null); return; }
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way || box === null) return;
    event.preventDefault();
    event.stopPropagation();
    box = moved(box, event.shiftKey ? "se" : "all", way[0] * STEP, way[1] * STEP);
    draw();
    nudged(box);
  });

  return (shown) => { box = shown; draw(); };
}
