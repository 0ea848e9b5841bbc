// Query images, stored in this browser, so that going back or opening the URL again finds them.
// They are sent to the service for searching, and stored nowhere else.

const MOST = 40;
const MOST_BYTES = 64e6; // of all query images together

let opened = null;
const database = () => (opened ??= open().catch((error) => { opened = null; throw error; }));

function open() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("lookalike", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("pictures", { keyPath: "digest" }).createIndex("at", "at");
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

// Where the browser stores nothing (in a private window), this tab keeps the last few.
const inMemory = new Map();
const MOST_IN_MEMORY = 8;

/** Hold an image in this tab, and return its digest, which `load` takes. Rejects when its file cannot be read. */
export async function hold(blob) {
  const digest = await digestOf(blob);
  inMemory.delete(digest);
  inMemory.set(digest, blob);
  if (inMemory.size > MOST_IN_MEMORY) inMemory.delete(inMemory.keys().next().value);
  return digest;
}

/** Store the image of a digest that this tab holds: a search with it has succeeded. The oldest make room for it. */
export async function store(digest) {
  const blob = inMemory.get(digest);
  if (!blob) return; // it is stored already
  try {
    const images = (await database()).transaction("pictures", "readwrite").objectStore("pictures");
    await done(images.put({ digest, at: Date.now(), blob }));
    const all = await done(images.index("at").getAll()); // the oldest first
    for (const old of surplus(all.map((one) => one.blob.size))) images.delete(all[old].digest);
  } catch { /* the tab holds it */ }
}

/** Return the positions of the images that have no place, given the sizes of all of them, the oldest first. */
export function surplus(sizes) {
  let bytes = 0;
  const old = [];
  for (let at = sizes.length - 1; at >= 0; at -= 1) {
    bytes += sizes[at];
    if (sizes.length - at > MOST || bytes > MOST_BYTES) old.push(at);
  }
  return old;
}

/** Return how many query images this browser has stored, and their bytes together. */
export async function stored() {
  try {
    const images = (await database()).transaction("pictures").objectStore("pictures");
    const all = await done(images.getAll());
    return { images: all.length, bytes: all.reduce((sum, one) => sum + one.blob.size, 0) };
  } catch {
    return { images: 0, bytes: 0 };
  }
}

/** Forget all query images. */
export async function clear() {
  inMemory.clear();
  try {
    const images = (await database()).transaction("pictures", "readwrite").objectStore("pictures");
    await done(images.clear());
  } catch { /* nothing was stored */ }
}

/** Return the image of a digest, or null when it is not stored. */
export async function load(digest) {
  if (inMemory.has(digest)) return inMemory.get(digest);
  try {
    const images = (await database()).transaction("pictures").objectStore("pictures");
    return (await done(images.get(digest)))?.blob ?? null;
  } catch {
    return null;
  }
}

async function digestOf(blob) {
  // `crypto.subtle` exists only on HTTPS and on loopback.
  if (!crypto.subtle) return `${blob.size.toString(36)}${Date.now().toString(36)}`;
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return [...bytes.slice(0, 9)].map((one) => one.toString(16).padStart(2, "0")).join("");
}
