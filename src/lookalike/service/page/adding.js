// Putting pictures into the collection: a folder, or several files, in small portions.

import * as api from "./api.js";
import { $, make, number, several } from "./elements.js";

const PORTION = 16;
const PORTION_BYTES = 32 * 2 ** 20;
const SHOWN = 7; // of what is about to be added
const MOST_TOLD = 200; // of what was left out; thousands of lines are not read
const IS_PICTURE = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic|heif|dib|jfif)$/i;
const ENDS_IT = [0, 401, 403, 507]; // away, not allowed, no room: the next portion fails as well

/** The files of what was dropped, as [path, file], folders gone through; `told` hears how many so far. */
export async function dropped(transfer, told = () => {}) {
  const entries = [...transfer.items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return { folder: false, files: [...transfer.files].map((file) => [file.name, file]) };
  const files = [];
  for (const entry of entries) await gather(entry, "", files, told);
  return { folder: entries.some((one) => one.isDirectory), files };
}

async function gather(entry, below, files, told) {
  const path = below + entry.name;
  try {
    if (entry.isFile) {
      files.push([path, await new Promise((resolve, reject) => entry.file(resolve, reject))]);
      if (files.length % 100 === 0) told(files.length);
      return;
    }
    const reader = entry.createReader();
    for (;;) { // a reader gives a hundred at a time
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      for (const one of some) await gather(one, `${path}/`, files, told);
    }
  } catch { /* what this person may not read is not theirs to add */ }
}

/** The files of a chooser, as [path, file]. */
const chosen = (input) => [...input.files].map((file) => [file.webkitRelativePath || file.name, file]);

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

/** Show the first of `files`, those that the browser can. */
function preview(files) {
  for (const old of $("adding-strip").children) URL.revokeObjectURL(old.src);
  $("adding-strip").hidden = !files.length;
  $("adding-strip").replaceChildren(...files.slice(0, SHOWN).map(([, file]) => {
    const shown = make("img", { alt: "", decoding: "async", onerror: () => shown.remove() });
    shown.src = URL.createObjectURL(file);
    return shown;
  }));
}

/** Show what became of some files, if there are any. */
function list(name, title, files, words) {
  $(name).hidden = !files.length;
  $(name).querySelector("summary").textContent = `${title} (${number(files.length)})`;
  const more = files.length - MOST_TOLD;
  $(name).querySelector("ul").replaceChildren(
    ...files.slice(0, MOST_TOLD).map((one) => make("li", {}, make("b", {}, one.name), ` ${words(one)}`)),
    ...(more > 0 ? [make("li", {}, `and ${number(more)} more`)] : []));
}

/** How long so many seconds are, for people. */
export const lasting = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

/** The dialog: `collection()` names where to, `done` hears when something was added. Answers
 * `open(files)`, and `open.counting(count)` while a folder is gone through. */
export function adding(collection, done) {
  const dialog = $("adding");
  let files = [];
  let stopping = null; // AbortController while pictures are sent

  const ready = (found) => {
    files = pictures(found);
    const left = found.length - files.length;
    $("adding-what").textContent = found.length
      ? `${files.length ? several(files.length, "picture") : "No picture"} for “${collection()}”${left ? `, and ${several(left, "other file")} that will be left out` : ""}.`
      : `Pictures become part of “${collection()}”, and are found from then on. Drop them here, or choose them.`;
    $("adding-says").textContent = "";
    preview(files);
    $("adding-renamed").hidden = $("adding-skipped").hidden = $("adding-bar").hidden = $("adding-done").hidden = true;
    $("replacing").checked = false;
    $("adding-choose").hidden = files.length > 0;
    $("adding-label").hidden = $("adding-replace").hidden = $("adding-go").hidden = !files.length;
    $("adding-go").textContent = `Add ${several(files.length, "picture")}`;
  };

  const run = async () => {
    const to = collection(); // where they go, wherever the page goes meanwhile
    const label = $("new-label").value.trim();
    const replacing = $("replacing").checked;
    if (replacing && !confirm(`Replace the pictures in “${to}” that have the same name? Those that are there now will be gone.`)) return;
    const told = []; // of each file: name, id, outcome, reason
    let sent = 0;
    let trouble = "";
    const { signal } = (stopping = new AbortController());
    $("adding-go").hidden = $("adding-label").hidden = $("adding-replace").hidden = true;
    $("adding-stop").hidden = $("adding-bar").hidden = false;
    $("adding-stop").focus();
    const began = performance.now();
    for (const portion of portions(files)) {
      $("adding-bar").value = sent / files.length;
      const rate = sent / ((performance.now() - began) / 1000);
      $("adding-says").textContent = `${number(sent)} of ${number(files.length)}` +
        (sent ? `, ${rate.toFixed(rate < 10 ? 1 : 0)} a second, ${lasting((files.length - sent) / rate)} to go` : "");
      try {
        told.push(...(await api.add(to, portion, label, replacing, signal)).files);
      } catch (error) {
        if (signal.aborted) break;
        if (ENDS_IT.includes(error.status)) { trouble = error.message; break; }
        told.push(...portion.map(([name]) => ({ name, outcome: "skipped", reason: error.message })));
      }
      sent += portion.length;
    }
    stopping = null;
    $("adding-bar").value = sent / files.length;
    $("adding-stop").hidden = true;
    $("adding-done").hidden = false;
    if (dialog.open) $("adding-done").focus();
    const of = (outcome) => told.filter((one) => one.outcome === outcome);
    const [created, replaced, known, skipped] = ["created", "replaced", "unchanged", "skipped"].map(of);
    const renamed = created.filter((one) => one.id !== one.name);
    $("adding-says").textContent = `${[
      `${several(created.length, "picture")} added`,
      renamed.length ? `${number(renamed.length)} of them under another name` : "",
      replaced.length ? `${number(replaced.length)} replaced` : "",
      known.length ? `${number(known.length)} ${known.length === 1 ? "was" : "were"} there already` : "",
      skipped.length ? `${number(skipped.length)} left out` : "",
      signal.aborted ? "stopped by you" : "",
    ].filter(Boolean).join(", ")}. ${trouble}`;
    list("adding-renamed", "Under another name", renamed, (one) => `is now ${one.id}`);
    list("adding-skipped", "What was left out", skipped, (one) => one.reason);
    if (created.length + replaced.length) done(to);
  };

  $("adding-go").addEventListener("click", run);
  $("adding-stop").addEventListener("click", () => stopping?.abort());
  $("adding-done").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => { stopping?.abort(); preview([]); });
  addEventListener("beforeunload", (event) => { if (stopping) event.preventDefault(); });
  for (const [button, input] of [["choose-folder", "folder"], ["choose-files", "files"]]) {
    $(button).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", () => { ready(chosen($(input))); $(input).value = ""; });
  }

  const open = (found = []) => {
    if (stopping) return;
    ready(found);
    if (!dialog.open) dialog.showModal();
  };
  open.counting = (count) => {
    open();
    $("adding-choose").hidden = true;
    $("adding-what").textContent = `Looking through the folder: ${several(count, "file")} so far …`;
  };
  return open;
}
