// Pictures that were searched with, kept in this browser: going back, or opening the address
// again, finds them. They are sent to the service to be searched with and kept nowhere else.

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

// Where a browser keeps nothing (a private window), this tab does, the last few.
const now = new Map();
const MOST_NOW = 8;

/** Keep a picture; the name it can be had back by. Rejects when its file cannot be read. */
export async function remember(blob) {
  const digest = await digestOf(blob);
  now.delete(digest);
  now.set(digest, blob);
  if (now.size > MOST_NOW) now.delete(now.keys().next().value);
  try {
    const pictures = (await database()).transaction("pictures", "readwrite").objectStore("pictures");
    await done(pictures.put({ digest, at: Date.now(), blob }));
    const kept = await done(pictures.index("at").getAllKeys()); // the oldest first
    for (const old of kept.slice(0, Math.max(0, kept.length - MOST))) pictures.delete(old);
  } catch { /* it is in `now` */ }
  return digest;
}

/** The picture of a name, or null when it was never here. */
export async function recall(digest) {
  if (now.has(digest)) return now.get(digest);
  try {
    const pictures = (await database()).transaction("pictures").objectStore("pictures");
    return (await done(pictures.get(digest)))?.blob ?? null;
  } catch {
    return null;
  }
}

async function digestOf(blob) {
  // `crypto.subtle` is only there on https and on loopback.
  if (!crypto.subtle) return `${blob.size.toString(36)}${Date.now().toString(36)}`;
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return [...bytes.slice(0, 9)].map((one) => one.toString(16).padStart(2, "0")).join("");
}
