// The crop box on the query image: drawn, moved, or resized at its corners, with the pointer or the keyboard.

const LEAST = 0.04; // of a side
const STEP = 0.02;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Return `box` with one corner, or the whole box, moved by (dx, dy) within the image. */
export function moveBox(box, grip, dx, dy) {
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

/** Return the box between two corners. */
export const between = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];

/** Let the user crop in `frame`. `onDraw` receives each box that was drawn, or null; `onNudge` each step of
 * a key. Return `show(box or null)`. */
export function enableCropping(frame, crop, { onDraw, onNudge }) {
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
    if (!frame.classList.contains("cropping") || event.button !== 0) return;
    event.preventDefault();
    const grip = event.target.dataset.grip ?? (event.target === crop ? "all" : "new");
    grabbed = { grip, from: place(event), start: box };
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!grabbed) return;
    const to = place(event);
    box = grabbed.grip === "new" ? between(grabbed.from, to) : moveBox(grabbed.start, grabbed.grip, to[0] - grabbed.from[0], to[1] - grabbed.from[1]);
    draw();
  });
  const release = () => {
    if (!grabbed) return;
    const [left, top, right, bottom] = box ?? [0, 0, 0, 0];
    if (right - left < LEAST || bottom - top < LEAST) box = grabbed.start; // a click, not a box
    const before = grabbed.start;
    grabbed = null;
    draw();
    if (box !== before) onDraw(box);
  };
  frame.addEventListener("pointerup", release);
  frame.addEventListener("pointercancel", () => { // the browser took over the touch, to scroll for example
    if (!grabbed) return;
    box = grabbed.start;
    grabbed = null;
    draw();
  });

  crop.addEventListener("keydown", (event) => {
    if (["Delete", "Escape"].includes(event.key)) { onDraw(null); return; }
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!direction || box === null) return;
    event.preventDefault();
    event.stopPropagation();
    box = moveBox(box, event.shiftKey ? "se" : "all", direction[0] * STEP, direction[1] * STEP);
    draw();
    onNudge(box);
  });

  return (shown) => { box = shown; draw(); };
}
