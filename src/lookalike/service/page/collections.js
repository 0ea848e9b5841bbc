// The menu of collections.

import { $, make, number } from "./elements.js";

/** List these collections in the menu, which is hidden when there is only one. */
export function listCollections(collections) {
  $("collection").replaceChildren(...collections.map((one) => make("option", { value: one.name })));
  for (const one of collections) showCount(one.name, one.items);
  $("collection").closest("label").hidden = collections.length < 2;
}

/** Show how many items the named collection has. */
export function showCount(name, count) {
  for (const one of $("collection").options) if (one.value === name) one.textContent = `${name} (${count === null ? "unreachable" : number(count)})`;
}
