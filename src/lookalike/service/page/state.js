// The current query, which the URL holds, and the collections that the service has.

import * as address from "./address.js";

export let state = address.parse(location.search);
export const served = { collections: [], default: null, mayWrite: false, limits: null };

let show = async () => {};

/** Let `work` update the page after every change of the state. */
export const onChange = (work) => { show = work; };

export const collection = () => state.collection ?? served.default ?? (served.collections.find((one) => !one.error) ?? served.collections[0])?.name ?? null;

const QUERY = ["collection", "id", "upload", "words"]; // with another one, the page begins at its top

/** Change the state. With `push`, the browser's back button undoes the change. */
export function change(part, { push = true } = {}) {
  const before = state;
  patchState(part);
  if (push && !history.state?.dialog) { // an entry of a dialog, which has closed, is used for what it led to
    rememberPlace();
    history.pushState(null, "", address.format(state));
  } else history.replaceState(null, "", address.format(state));
  if (push && QUERY.some((name) => before[name] !== state[name])) scrollTo({ top: 0 });
  return show();
}

/** Note in the history how far the page is scrolled, to return there. */
export const rememberPlace = () => history.replaceState({ ...history.state, scroll: scrollY }, "");

/** Scroll to where the page was when it was left. */
export const returnToPlace = () => { if (history.state?.scroll !== undefined) scrollTo({ top: history.state.scroll }); };

/** Change the state without updating the page or the URL; call `updateAddress` later. */
export function patchState(part) { state = { ...state, ...part }; }

/** Write the state into the URL. */
export const updateAddress = () => history.replaceState(history.state, "", address.format(state));

/** Reset the state for the collection `of`; `kept` is carried over. */
export const reset = (of = state.collection, kept = {}) => change({ ...address.EMPTY, ...kept, collection: of });

history.scrollRestoration = "manual"; // the browser would scroll before the results are there
addEventListener("pagehide", rememberPlace);
addEventListener("popstate", async () => {
  const before = address.format(state);
  state = address.parse(location.search);
  if (address.format(state) !== before) await show(); // else only the position on the page, or a dialog, has changed
  returnToPlace();
});
