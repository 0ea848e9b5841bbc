// What stands above the answers and in their place.

import { $, make } from "./elements.js";

export function status(...told) { $("status").replaceChildren(...told); }

/** Say something in the place of the answers; `action` is [words, work, whether it is the first thing to do]. */
export function empty(title = "", text = "", action = null, bad = false) {
  $("empty").hidden = !title;
  $("empty").classList.toggle("bad", bad);
  $("empty").replaceChildren(...(title ? [
    make("h2", {}, title), make("p.quiet", {}, text),
    ...(action ? [make(action[2] ? "button.main" : "button", { type: "button", onclick: action[1] }, action[0])] : []),
  ] : []));
}

const FAULTS = { // by code: what happened, and what to do where the service's own words do not say it
  "no-such-item": ["That picture is not here any more", "It may have been removed since."],
  "no-such-collection": ["That collection is not here any more"],
  "not-an-image": ["That is not a picture", "Choose a JPEG, PNG, WebP or another kind of picture."],
  "broken-image": ["That picture is damaged"],
  "image-too-large": ["That picture is too large"],
  "too-large": ["That picture is too large"],
  "key-needed": ["This service asks for a key", "Ask whoever runs it, then try again."],
  busy: ["The service is busy", "It has more to do than it can take. Try again in a moment."],
  away: ["The service does not answer"],
};

/** Say in the place of the answers what went wrong, and offer `action`. */
export function fault(error, action) {
  status();
  const [title, text = error.message] = FAULTS[error.code] ?? ["That did not work"];
  empty(title, text, action, true);
}
