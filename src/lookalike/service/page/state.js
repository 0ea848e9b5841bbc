// What is asked now, which the address tells, and what there is to ask of.

import * as address from "./address.js";

export let state = address.read(location.search);
export const served = { collections: [], default: null, mayWrite: false };

let show = async () => {};

/** Let `work` bring the page in line with every new state. */
export const whenChanged = (work) => { show = work; };

export const collection = () => state.collection ?? served.default ?? (served.collections.find((one) => !one.error) ?? served.collections[0])?.name ?? null;

/** Change what is asked. `push` makes a step that the browser's back button takes back. */
export function change(part, { push = true } = {}) {
  note(part);
  history[push ? "pushState" : "replaceState"](null, "", address.written(state));
  return show();
}

/** Change what is asked without a word to the page or the address; `written` follows. */
export function note(part) { state = { ...state, ...part }; }

/** Let the address tell what was noted. */
export const written = () => history.replaceState(null, "", address.written(state));

/** Ask nothing of `of`, all else as at first; `kept` of the state stays. */
export const anew = (of = state.collection, kept = {}) => change({ ...address.NOTHING, ...kept, collection: of });

addEventListener("popstate", () => {
  const before = address.written(state);
  state = address.read(location.search);
  if (address.written(state) !== before) show(); // else only the place on the page is another one
});
