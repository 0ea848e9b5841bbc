// The details of one result, beside the query.

import { nameOf } from "./cards.js";
import * as api from "./api.js";
import { $, icon, make } from "./elements.js";
import { title } from "./facets.js";
import * as why from "./why.js";

const SIDE = 1200;
const shown = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value));

/** Open the dialog for `hit`. `query` is { src, name } or null; `state` has the liked and disliked items; `acts` is that of the cards. */
export function show(hit, query, state, acts) {
  const dialog = $("details");
  $("details-title").textContent = nameOf(hit);
  const figure = (src, alt, ...caption) => {
    const drawn = src === null ? missing() : make("img", { alt, onerror: () => drawn.replaceWith(missing()) });
    if (src !== null) drawn.src = src;
    return make("figure", {}, make("div.seen", {}, drawn), make("figcaption", {}, ...caption));
  };
  const scored = hit.score !== undefined;
  $("beside").replaceChildren(
    ...(query ? [figure(query.src, "Query image", make("b", {}, "Query"), ` ${query.name}`)] : []),
    figure(api.thumbnail(hit, SIDE), "Result", make("b", {}, scored ? `${hit.by === "words" ? "Words" : "Similarity"} ${hit.score.toFixed(3)}` : "Image"),
      hit.match ? ` ${hit.match} match` : "", scored ? "" : ` ${hit.id.split("/").pop()}`),
  );
  why.clear();
  const seen = [...$("beside").querySelectorAll(".seen")];
  const places = { item: seen.at(-1), query: query ? seen[0] : null };
  const button = (label, what, drawn, pressed) => make(pressed === undefined ? "button.main" : "button", {
    type: "button", autofocus: pressed === undefined, ...(pressed === undefined ? {} : { "aria-pressed": String(pressed) }),
    onclick: () => { dialog.close(); acts(what, hit); },
  }, icon(drawn), label);
  const inQuery = state.id === hit.id || state.also.some((one) => one.id === hit.id);
  $("details-actions").replaceChildren(...[
    button("Search with this image", "go", "search"),
    button("Add to query", "add", "add", inQuery),
    button("More like this", "like", "like", state.liked.includes(hit.id)),
    button("Less like this", "dislike", "dislike", state.disliked.includes(hit.id)),
    scored && hit.by !== "words" && api.thumbnail(hit, SIDE) ? why.button(hit, places) : null,
  ].filter(Boolean));
  $("details-file").replaceChildren(...[
    hit.path ? copyButton("Copy path", hit.path) : null,
    hit.image ? make("a.button.small", { href: hit.image, target: "_blank", rel: "noopener" }, icon("open"), "Open file") : null,
  ].filter(Boolean));
  const details = [
    ["Label", hit.label], ["Product", hit.group],
    ["Found in", hit.box ? `the part from ${percent(hit.box[0])}, ${percent(hit.box[1])} to ${percent(hit.box[2])}, ${percent(hit.box[3])}` : null],
    ...Object.entries(hit.metadata ?? {}).map(([name, value]) => [title(name), value]),
    ["Size", hit.width && hit.height ? `${hit.width} × ${hit.height} pixels` : null], ["Id", hit.id], ["File", hit.path],
  ];
  $("facts").replaceChildren(...details.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, shown(value))]));
  dialog.showModal();
  dialog.scrollTop = 0;
}

const percent = (side) => `${Math.round(100 * side)}%`;
const missing = () => make("div.missing", {}, icon("missing"), "Cannot be shown");

function copyButton(label, text) {
  const words = make("span", { role: "status" }, label);
  return make("button.small", {
    type: "button",
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        words.textContent = "Copied";
      } catch {
        words.textContent = "Not allowed by the browser";
      }
    },
  }, icon("copy"), words);
}
