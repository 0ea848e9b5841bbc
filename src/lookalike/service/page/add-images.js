// Add images to the collection: a folder or several files, uploaded in small batches.

import * as api from "./api.js";
import { $, make, number, several } from "./elements.js";

const BATCH = 16;
const BATCH_BYTES = 32 * 2 ** 20;
const FORM_BYTES = 2 ** 16; // of a request beside its images
const SHOWN = 7; // previews of the images to add
const MOST_LISTED = 200; // lines in a list of files; nobody reads thousands
const IS_IMAGE = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic|heif|dib|jfif)$/i;
const FATAL = [0, 401, 403, 507]; // unreachable, not allowed, disk full: the next batch would fail too

/** Return the dropped files as [path, file], including those in folders. `onProgress` receives the number found so far. */
export async function readDropped(transfer, onProgress = () => {}) {
  const entries = [...transfer.items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return { folder: false, files: [...transfer.files].map((file) => [file.name, file]) };
  const files = [];
  for (const entry of entries) await collectFiles(entry, "", files, onProgress);
  return { folder: entries.some((one) => one.isDirectory), files };
}

async function collectFiles(entry, below, files, onProgress) {
  const path = below + entry.name;
  try {
    if (entry.isFile) {
      files.push([path, await new Promise((resolve, reject) => entry.file(resolve, reject))]);
      if (files.length % 100 === 0) onProgress(files.length);
      return;
    }
    const reader = entry.createReader();
    for (;;) { // a reader returns at most 100 entries at a time
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      for (const one of some) await collectFiles(one, `${path}/`, files, onProgress);
    }
  } catch { /* skip what the user has no permission to read */ }
}

/** Return the files of a file input as [path, file]. */
const chosenFiles = (input) => [...input.files].map((file) => [file.webkitRelativePath || file.name, file]);

/** Return the files that may be images, by type or name; hidden files are left out. */
export const imageFiles = (files) => files.filter(([path, file]) =>
  !path.split("/").some((part) => part.startsWith(".")) && (file.type.startsWith("image/") || IS_IMAGE.test(path)));

/** Split files into batches that are small enough, in number and bytes, for one request of a service with `limits`. */
export function batches(files, limits) {
  const all = [];
  const mostImages = Math.min(BATCH, limits.max_images);
  const mostBytes = Math.min(BATCH_BYTES, limits.max_body - FORM_BYTES);
  let bytes = 0;
  for (const one of files) {
    if (!all.length || all.at(-1).length >= mostImages || bytes + one[1].size > mostBytes) { all.push([]); bytes = 0; }
    all.at(-1).push(one);
    bytes += one[1].size;
  }
  return all;
}

/** Show previews of the first `files`, where the browser can. */
function preview(files) {
  for (const old of $("adding-strip").children) URL.revokeObjectURL(old.src);
  $("adding-strip").hidden = !files.length;
  $("adding-strip").replaceChildren(...files.slice(0, SHOWN).map(([, file]) => {
    const shown = make("img", { alt: "", decoding: "async", onerror: () => shown.remove() });
    shown.src = URL.createObjectURL(file);
    return shown;
  }));
}

/** Say on the button that opens the dialog that an upload goes on, or has ended; null for what it says otherwise. */
function setButton(text) {
  $("add").classList.toggle("busy", text !== null);
  $("add").querySelector("span").replaceChildren(...(text === null ? ["Add", make("span.wordy", {}, " images")] : [text]));
}

/** List what happened to `files`, if there are any. */
function list(name, title, files, describe) {
  $(name).hidden = !files.length;
  $(name).querySelector("summary").textContent = `${title} (${number(files.length)})`;
  const more = files.length - MOST_LISTED;
  $(name).querySelector("ul").replaceChildren(
    ...files.slice(0, MOST_LISTED).map((one) => make("li", {}, make("b", {}, one.name), ` ${describe(one)}`)),
    ...(more > 0 ? [make("li", {}, `and ${number(more)} more`)] : []));
}

const megabytes = (bytes) => `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;

/** Format a duration in seconds. */
export const formatDuration = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

/** Send one batch, and return an outcome for each of its files. What is refused as a whole is sent again file by file, so
 * that one bad file costs no other. Throws what would stop every other batch too. */
async function sendBatch(to, batch, label, replacing, signal) {
  try {
    return (await api.addImages(to, batch, label, replacing, signal)).files;
  } catch (error) {
    if (signal.aborted || FATAL.includes(error.status)) throw error;
    if (batch.length === 1) return [{ name: batch[0][0], outcome: "skipped", reason: error.message }];
  }
  const outcomes = [];
  for (const one of batch) outcomes.push(...(await sendBatch(to, [one], label, replacing, signal)));
  return outcomes;
}

/** Set up the dialog. `collection()` names the target and `limits()` what the service takes; `onAdded` is called when images
 * were added. Return `open(files)`, with `open.counting(count)` for use while a folder is being read. */
export function setUpAddDialog(collection, limits, onAdded) {
  const dialog = $("adding");
  let files = [];
  let uploading = null; // AbortController while images are being uploaded

  const showFiles = (found) => {
    files = imageFiles(found);
    const others = found.length - files.length;
    $("adding-what").textContent = found.length
      ? `${files.length ? several(files.length, "image") : "No images"} for “${collection()}”${others ? `, and ${several(others, "other file")} that will be skipped` : ""}.`
      : `Images are added to “${collection()}” and can be found from then on. Drop them here, or choose them.`;
    $("adding-says").textContent = "";
    preview(files);
    $("adding-renamed").hidden = $("adding-skipped").hidden = $("adding-bar").hidden = $("adding-done").hidden = true;
    $("replacing").checked = false;
    $("adding-choose").hidden = files.length > 0;
    $("adding-label").hidden = $("adding-replace").hidden = $("adding-go").hidden = !files.length;
    $("adding-go").textContent = `Add ${several(files.length, "image")}`;
  };

  const run = async () => {
    const to = collection(); // stays the target if another collection is chosen meanwhile
    const label = $("new-label").value.trim();
    const replacing = $("replacing").checked;
    if (replacing && !confirm(`Replace the images in “${to}” that have the same name? The current ones will be deleted.`)) return;
    const most = limits().max_upload;
    const tooLarge = files.filter(([, file]) => file.size > most);
    const outcomes = tooLarge.map(([name, file]) => ( // for each file: name, id, outcome, reason
      { name, outcome: "skipped", reason: `has ${megabytes(file.size)}; the service takes up to ${megabytes(most)} for one image` }));
    let sent = tooLarge.length;
    let failure = "";
    const { signal } = (uploading = new AbortController());
    setButton(`Adding ${number(files.length)}`);
    $("adding-go").hidden = $("adding-label").hidden = $("adding-replace").hidden = true;
    $("adding-stop").hidden = $("adding-bar").hidden = false;
    $("adding-stop").focus();
    const began = performance.now();
    for (const batch of batches(files.filter((one) => !tooLarge.includes(one)), limits())) {
      $("adding-bar").value = sent / files.length;
      const rate = sent / ((performance.now() - began) / 1000);
      setButton(`Adding, ${Math.floor((100 * sent) / files.length)}%`);
      $("adding-says").textContent = `${number(sent)} of ${number(files.length)}` +
        (sent ? `, ${rate.toFixed(rate < 10 ? 1 : 0)} a second, ${formatDuration((files.length - sent) / rate)} left` : "");
      try {
        outcomes.push(...(await sendBatch(to, batch, label, replacing, signal)));
      } catch (error) {
        if (!signal.aborted) failure = error.message;
        break;
      }
      sent += batch.length;
    }
    uploading = null;
    $("adding-bar").value = sent / files.length;
    $("adding-stop").hidden = true;
    $("adding-done").hidden = false;
    setButton(dialog.open ? null : "Images added");
    if (dialog.open) $("adding-done").focus();
    const of = (outcome) => outcomes.filter((one) => one.outcome === outcome);
    const [created, replaced, known, skipped] = ["created", "replaced", "unchanged", "skipped"].map(of);
    const renamed = created.filter((one) => one.id !== one.name);
    $("adding-says").textContent = `${[
      `${several(created.length, "image")} added`,
      renamed.length ? `${number(renamed.length)} of them renamed` : "",
      replaced.length ? `${number(replaced.length)} replaced` : "",
      known.length ? `${number(known.length)} already in the collection` : "",
      skipped.length ? `${number(skipped.length)} skipped` : "",
      signal.aborted ? "stopped" : "",
    ].filter(Boolean).join(", ")}. ${failure}`;
    list("adding-renamed", "Renamed", renamed, (one) => `is now ${one.id}`);
    list("adding-skipped", "Skipped", skipped, (one) => one.reason);
    if (created.length + replaced.length) onAdded(to);
  };

  $("adding-go").addEventListener("click", run);
  $("adding-stop").addEventListener("click", () => {
    if (uploading && confirm("Stop adding images? Those that were added stay.")) uploading?.abort();
  });
  $("adding-done").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => { if (!uploading) preview([]); }); // an upload goes on without the dialog
  addEventListener("beforeunload", (event) => { if (uploading) event.preventDefault(); });
  for (const [button, input] of [["choose-folder", "folder"], ["choose-files", "files"]]) {
    $(button).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", () => { showFiles(chosenFiles($(input))); $(input).value = ""; });
  }

  const open = (found = []) => {
    const unread = $("add").classList.contains("busy"); // an upload that goes on, or a result that nobody has seen
    if (!uploading) setButton(null);
    if (!unread || (!uploading && found.length)) showFiles(found);
    if (!dialog.open) dialog.showModal();
  };
  open.counting = (count) => {
    open();
    $("adding-choose").hidden = true;
    $("adding-what").textContent = `Reading the folder: ${several(count, "file")} so far …`;
  };
  return open;
}
