// The field for words.

import { $ } from "./elements.js";
import { change, collection, served, state } from "./state.js";

/** Show the words of the state. The field is there where the collection can be searched by words. */
export function show() {
  const supported = served.collections.find((one) => one.name === collection())?.words ?? false;
  $("words-form").hidden = !supported && !state.words;
  $("words").value = state.words;
  const image = state.id !== null || state.upload !== null;
  $("words").placeholder = image ? "Add words to the image" : "Describe it in words";
}

/** Go to the field, if it is there. */
export const focus = () => { if (!$("words-form").hidden) $("words").select(); };

$("words-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = $("words").value.trim();
  if (words !== state.words) change({ words });
});
