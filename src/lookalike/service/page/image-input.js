// The ways to give an image: choose a file, paste, drop, or take a photo.

import { imageFiles, readDropped } from "./add-images.js";
import { $, make, several } from "./elements.js";

/** Set up all inputs. `search(file)` receives a single image, and `join(files)` images to add to the query. `add()` returns the function that receives several
 * files or a folder, or null where adding is not allowed. Return the function that opens the file chooser. */
export function setUpInputs(search, join, add) {
  const choose = () => $("file").click();
  for (const id of ["choose", "other"]) $(id).addEventListener("click", choose);
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    $("file").value = "";
    if (file) search(file);
  });

  $("another").addEventListener("click", () => $("more-files").click());
  $("more-files").addEventListener("change", () => {
    const files = [...$("more-files").files];
    $("more-files").value = "";
    if (files.length) join(files);
  });

  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    search(file);
  });
  enableDrop(search, add);
  $("take-photo").addEventListener("click", () => takePhoto(search, choose));
  return choose;
}

function enableDrop(search, add) {
  let depth = 0; // number of elements that the pointer has entered and not left
  const dragging = (on, transfer) => {
    if (!on) depth = 0;
    $("over").hidden = !on || $("adding").open;
    if (on) $("over-says").textContent = dropHint([...transfer.items], add() !== null);
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
    const { folder, files: found } = await readDropped(event.dataTransfer, (count) => adds?.counting(count));
    if (!open && !folder && found.length === 1) search(found[0][1]);
    else if (adds) adds(found);
    else if (imageFiles(found).length) search(imageFiles(found)[0][1]);
  }));
}

/** Return what dropping `items` would do. Browsers report their types, but none for a folder. */
function dropHint(items, mayAdd) {
  if (items.length === 1 && items[0].type) return "Drop to search with this image";
  if (!mayAdd) return "Drop one image to search with it";
  return items.length > 1 ? `Drop to add ${several(items.length, "image")}` : "Drop a folder to add its images, or one image to search with it";
}

async function takePhoto(search, choose) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
  } catch { // no camera, not allowed, or not available without HTTPS: use the phone's camera app, or a file
    $("file").setAttribute("capture", "environment");
    choose();
    $("file").removeAttribute("capture");
    return;
  }
  const video = $("video");
  $("capture").disabled = true;
  video.onloadeddata = () => { $("capture").disabled = false; };
  video.srcObject = stream;
  $("camera").addEventListener("close", () => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }, { once: true });
  $("capture").onclick = () => {
    const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      $("camera").close();
      if (blob) search(new File([blob], "photo.jpg", { type: blob.type }));
    }, "image/jpeg", 0.92);
  };
  $("camera").showModal();
}
