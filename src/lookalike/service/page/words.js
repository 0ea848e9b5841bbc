// The field for words.

import { $ } from "./elements.js";
import { change, collection, state } from "./state.js";

/** Show the words of the state, and how they are searched. The field is there as soon as there is a collection. */
export function show() {
  $("words-form").hidden = !collection() && !state.words;
  $("words").value = state.words;
  $("text-mode-row").hidden = !state.words.trim();
  $("text-mode").value = state.textMode;
  const image = state.id !== null || state.upload !== null;
  $("words").placeholder = image ? "Add words to the image" : "Describe it in words";
}

/** Go to the field, if it is there. */
export const focus = () => { if (!$("words-form").hidden) $("words").select(); };

$("text-mode").addEventListener("change", () => change({ textMode: $("text-mode").value }));
$("words-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = $("words").value.trim();
  if (words !== state.words) change({ words });
});
