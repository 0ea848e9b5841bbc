// The ways in which a person hands over a picture: chosen, pasted, dropped, or just taken.

import { dropped, pictures } from "./adding.js";
import { $, make, several } from "./elements.js";

/** `search(file)` hears of one picture, `add(files)` of several or a folder; `add` is null where nobody may add. */
export function giving(search, add) {
  const choose = () => $("file").click();
  for (const id of ["choose", "other"]) $(id).addEventListener("click", choose);
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    $("file").value = "";
    if (file) search(file);
  });

  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    search(file);
  });
  dropping(search, add);
  $("shoot").addEventListener("click", () => shoot(search, choose));
  return choose;
}

function dropping(search, add) {
  let depth = 0; // of elements that were entered and not left
  const dragging = (on, transfer) => {
    if (!on) depth = 0;
    $("over").hidden = !on || $("adding").open;
    if (on) $("over-says").textContent = words([...transfer.items], add() !== null);
    document.body.classList.toggle("dragging", on);
  };
  const files = (work) => (event) => { if (event.dataTransfer?.types.includes("Files")) work(event); };
  addEventListener("dragenter", files((event) => { depth += 1; dragging(true, event.dataTransfer); }));
  addEventListener("dragleave", files(() => { depth -= 1; if (depth <= 0) dragging(false); }));
  addEventListener("dragover", files((event) => event.preventDefault()));
  addEventListener("drop", files(async (event) => {
    event.preventDefault();
    dragging(false);
    const open = document.querySelector("dialog[open]");
    if (open && open !== $("adding")) return;
    const adds = add();
    const { folder, files: found } = await dropped(event.dataTransfer, (count) => adds?.counting(count));
    if (!open && !folder && found.length === 1) search(found[0][1]);
    else if (adds) adds(found);
    else if (pictures(found).length) search(pictures(found)[0][1]);
  }));
}

/** What becomes of `items` when they are let go; a browser tells their types, and of a folder none. */
function words(items, mayAdd) {
  if (items.length === 1 && items[0].type) return "Drop it to search with it";
  if (!mayAdd) return "Drop one picture to search with it";
  return items.length > 1 ? `Drop them to add ${several(items.length, "picture")}` : "Drop a folder to add it, a picture to search with it";
}

async function shoot(search, choose) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
  } catch { // none, not allowed, or (not on https) not even to be asked for: a phone's own camera, or a file
    $("file").setAttribute("capture", "environment");
    choose();
    $("file").removeAttribute("capture");
    return;
  }
  const video = $("video");
  $("snap").disabled = true;
  video.onloadeddata = () => { $("snap").disabled = false; };
  video.srcObject = stream;
  $("camera").addEventListener("close", () => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }, { once: true });
  $("snap").onclick = () => {
    const drawn = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    drawn.getContext("2d").drawImage(video, 0, 0);
    drawn.toBlob((blob) => {
      $("camera").close();
      if (blob) search(new File([blob], "photo.jpg", { type: blob.type }));
    }, "image/jpeg", 0.92);
  };
  $("camera").showModal();
}
