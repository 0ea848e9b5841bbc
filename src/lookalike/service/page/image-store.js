// Query images, stored in this browser, so that going back or opening the URL again finds them.
// They are sent to the service for searching, and stored nowhere else.

const MOST = 40;

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

/** Store an image and return its digest, which `load` takes. Rejects when its file cannot be read. */
export async function store(blob) {
  const digest = await digestOf(blob);
  inMemory.delete(digest);
  inMemory.set(digest, blob);
  if (inMemory.size > MOST_IN_MEMORY) inMemory.delete(inMemory.keys().next().value);
  try {
    const images = (await database()).transaction("pictures", "readwrite").objectStore("pictures");
    await done(images.put({ digest, at: Date.now(), blob }));
    const kept = await done(images.index("at").getAllKeys()); // the oldest first
    for (const old of kept.slice(0, Math.max(0, kept.length - MOST))) images.delete(old);
  } catch { /* it is in `inMemory` */ }
  return digest;
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
