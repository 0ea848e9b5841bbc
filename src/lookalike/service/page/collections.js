// The choice of a collection.

import { $, make, number } from "./elements.js";

/** Offer these collections; where there is one, nothing is asked. */
export function offered(collections) {
  $("collection").replaceChildren(...collections.map((one) => make("option", { value: one.name })));
  for (const one of collections) counted(one.name, one.items);
  $("collection").closest("label").hidden = collections.length < 2;
}

/** Tell how many pictures the collection of a name has. */
export function counted(name, count) {
  for (const one of $("collection").options) if (one.value === name) one.textContent = `${name} (${count === null ? "away" : number(count)})`;
}
