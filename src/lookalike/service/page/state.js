// The current query, which the URL holds, and the collections that the service has.

import * as address from "./address.js";

export let state = address.parse(location.search);
export const served = { collections: [], default: null, mayWrite: false, limits: null };

let show = async () => {};

/** Let `work` update the page after every change of the state. */
export const onChange = (work) => { show = work; };

export const collection = () => state.collection ?? served.default ?? (served.collections.find((one) => !one.error) ?? served.collections[0])?.name ?? null;

/** Change the state. With `push`, the browser's back button undoes the change. */
export function change(part, { push = true } = {}) {
  patchState(part);
  history[push ? "pushState" : "replaceState"](null, "", address.format(state));
  return show();
}

/** Change the state without updating the page or the URL; call `updateAddress` later. */
export function patchState(part) { state = { ...state, ...part }; }

/** Write the state into the URL. */
export const updateAddress = () => history.replaceState(null, "", address.format(state));

/** Reset the state for the collection `of`; `kept` is carried over. */
export const reset = (of = state.collection, kept = {}) => change({ ...address.EMPTY, ...kept, collection: of });

addEventListener("popstate", () => {
  const before = address.format(state);
  state = address.parse(location.search);
  if (address.format(state) !== before) show(); // else only the position on the page has changed
});
