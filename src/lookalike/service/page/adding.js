// Putting pictures into the collection: a folder, or several files, in small portions.

import * as api from "./api.js";
import { $, make, number, several } from "./elements.js";

const PORTION = 16;
const PORTION_BYTES = 32 * 2 ** 20;
const IS_PICTURE = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic|heif|dib|jfif)$/i;

/** The files of what was dropped, as [path, file], folders gone through. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return { folder: false, files: [...transfer.files].map((file) => [file.name, file]) };
  const files = [];
  for (const entry of entries) await gather(entry, "", files);
  return { folder: entries.some((one) => one.isDirectory), files };
}

async function gather(entry, below, files) {
  const path = below + entry.name;
  if (entry.isFile) {
    files.push([path, await new Promise((resolve, reject) => entry.file(resolve, reject))]);
  } else {
    const reader = entry.createReader();
    for (;;) { // a reader gives a hundred at a time
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      for (const one of some) await gather(one, `${path}/`, files);
    }
  }
}

/** The files of a chooser, as [path, file]. */
export const chosen = (input) => [...input.files].map((file) => [file.webkitRelativePath || file.name, file]);

/** Those that may be pictures: by type or name, not hidden. */
export const pictures = (files) => files.filter(([path, file]) =>
  !path.split("/").some((part) => part.startsWith(".")) && (file.type.startsWith("image/") || IS_PICTURE.test(path)));

/** Files in portions of few enough, and small enough, to be sent at once. */
export function portions(files) {
  const all = [];
  let bytes = 0;
  for (const one of files) {
    if (!all.length || all.at(-1).length >= PORTION || bytes + one[1].size > PORTION_BYTES) { all.push([]); bytes = 0; }
    all.at(-1).push(one);
    bytes += one[1].size;
  }
  return all;
}

/** What `work` answers, tried again while the service says that it is busy. */
async function patiently(work, signal) {
  for (let wait = 1000; ; wait *= 2) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || wait > 16000 || ![429, 503].includes(error.status)) throw error;
      await new Promise((go) => setTimeout(go, wait));
    }
  }
}

/** The dialog: `collection()` names where to, `done` hears when something was added. */
export function adding(collection, done) {
  const dialog = $("adding");
  let files = [];
  let stopping = null;

  const ready = (found) => {
    files = pictures(found);
    const left = found.length - files.length;
    $("adding-what").textContent = found.length
      ? `${several(files.length, "picture")}${left ? `, and ${several(left, "other file")} that will be left out` : ""}.`
      : `Pictures become part of “${collection()}”, and are found from then on.`;
    $("adding-says").textContent = "";
    $("adding-bar").hidden = true;
    $("adding-skipped").hidden = true;
    $("adding-choose").hidden = files.length > 0;
    $("adding-label").hidden = false;
    $("adding-go").hidden = false;
    $("adding-go").disabled = !files.length;
    $("adding-go").textContent = files.length ? `Add ${several(files.length, "picture")}` : "Add";
  };

  const run = async () => {
    const label = $("new-label").value.trim();
    const skipped = [];
    let sent = 0;
    let added = 0;
    let trouble = "";
    stopping = new AbortController();
    $("adding-go").hidden = true;
    $("adding-label").hidden = true;
    $("adding-stop").hidden = false;
    $("adding-bar").hidden = false;
    const began = performance.now();
    for (const portion of portions(files)) {
      $("adding-bar").value = sent / files.length;
      const rate = sent / ((performance.now() - began) / 1000);
      $("adding-says").textContent = `${number(sent)} of ${number(files.length)}` +
        (sent ? `, ${rate.toFixed(rate < 10 ? 1 : 0)} a second, ${Math.ceil((files.length - sent) / rate)} s to go` : "");
      try {
        const answer = await patiently(() => api.add(collection(), portion, label, stopping.signal), stopping.signal);
        added += answer.indexed + answer.reused;
        skipped.push(...answer.skipped);
      } catch (error) {
        if (stopping.signal.aborted) break;
        if (error.status === 0 || error.status === 401 || error.status === 403) { trouble = error.message; break; }
        skipped.push(...portion.map(([id]) => ({ id, reason: error.message })));
      }
      sent += portion.length;
    }
    $("adding-bar").value = sent / files.length;
    $("adding-stop").hidden = true;
    $("adding-says").textContent = [
      `${several(added, "picture")} added`,
      skipped.length ? `${number(skipped.length)} left out` : "",
      stopping.signal.aborted ? "stopped by you" : "", trouble,
    ].filter(Boolean).join(", ") + ".";
    $("adding-skipped").hidden = !skipped.length;
    $("adding-skipped").querySelector("summary").textContent = `What was left out (${number(skipped.length)})`;
    $("adding-skipped").querySelector("ul").replaceChildren(...skipped.map((one) => make("li", {}, `${one.id}: ${one.reason}`)));
    stopping = null;
    if (added) done();
  };

  $("adding-go").addEventListener("click", run);
  $("adding-stop").addEventListener("click", () => stopping?.abort());
  dialog.addEventListener("close", () => stopping?.abort());
  for (const [button, input] of [["choose-folder", "folder"], ["choose-files", "files"]]) {
    $(button).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", () => { ready(chosen($(input))); $(input).value = ""; });
  }
  return (found = []) => { if (dialog.open && stopping) return; ready(found); if (!dialog.open) dialog.showModal(); };
}
