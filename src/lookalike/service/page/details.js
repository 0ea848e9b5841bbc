// One answer beside the query, with all that is known of it.

import * as api from "./api.js";
import { $, icon, make } from "./elements.js";

const shown = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value));

/** Open the dialog on `hit`; `query` is { src, name } or null; `acts` as the cards' own. */
export function show(collection, hit, query, acts) {
  const dialog = $("details");
  $("details-title").textContent = hit.label ?? hit.id.split("/").pop();
  const figure = (src, said, name) => make("figure", {}, make("img", { src, alt: said }), make("figcaption", {}, name));
  $("beside").replaceChildren(
    ...(query ? [figure(query.src, "The query", `Query: ${query.name}`)] : []),
    figure(api.thumbnail(hit, 1200) ?? api.thumbnailOf(collection, hit.id, 1200), "The answer", hit.score === undefined ? hit.id : `Similarity ${hit.score.toFixed(3)}`),
  );
  const button = (label, work, drawn) => make("button.small", { type: "button", onclick: work }, drawn ? icon(drawn) : null, label);
  const closing = (what) => () => { dialog.close(); acts(what, hit); };
  $("details-actions").replaceChildren(...[
    button("Go on from this", closing("go")),
    button("More like this", closing("like"), "add"),
    button("Less like this", closing("dislike"), "less"),
    hit.path ? copying("Copy its path", hit.path) : null,
    hit.picture ? make("a", { href: hit.picture, target: "_blank", rel: "noopener" }, "Open the file") : null,
  ].filter(Boolean));
  const facts = [
    ["Id", hit.id], ["Label", hit.label], ["Product", hit.group],
    ["Size", `${hit.width} × ${hit.height} pixels`], ["File", hit.path],
    ...Object.entries(hit.metadata ?? {}),
  ];
  $("facts").replaceChildren(...facts.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, shown(value))]));
  dialog.showModal();
}

function copying(label, text) {
  const words = make("span", {}, label);
  return make("button.small", {
    type: "button",
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        words.textContent = "Copied";
      } catch {
        words.textContent = "The browser does not allow it";
      }
    },
  }, icon("copy"), words);
}
