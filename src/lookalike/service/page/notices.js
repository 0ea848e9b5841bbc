// The status line above the results, and the messages in their place.

import { $, make } from "./elements.js";

export function status(...parts) { $("status").replaceChildren(...parts); }

/** Show a message in the place of the results; `action` is [label, work, whether it is the main action]. */
export function notice(title = "", text = "", action = null, bad = false) {
  $("empty").hidden = !title;
  $("empty").classList.toggle("bad", bad);
  $("empty").replaceChildren(...(title ? [
    make("h2", {}, title), make("p.quiet", {}, text),
    ...(action ? [make(action[2] ? "button.main" : "button", { type: "button", onclick: action[1] }, action[0])] : []),
  ] : []));
}

const ERRORS = { // by code: what happened, and what to do where the service's own message does not say it
  "no-such-item": ["This image no longer exists", "It may have been removed."],
  "no-such-collection": ["There is no such collection"],
  "not-an-image": ["Not an image", "Choose a JPEG, PNG, WebP or other image file."],
  "broken-image": ["This image is damaged"],
  "image-too-large": ["This image is too large"],
  "too-large": ["This image is too large"],
  "unusable-words": ["These words cannot be searched"],
  "key-needed": ["This service requires a key", "Ask the person who runs it, then try again."],
  busy: ["The service is busy", "It has too many requests at the moment. Try again shortly."],
  unreachable: ["The service does not respond"],
};

/** Return what happened, and what to do. */
export function describeError(error) {
  const [title, text = error.message] = ERRORS[error.code] ?? ["Something went wrong"];
  return [title, text];
}

/** Show an error in the place of the results, and offer `action`. */
export function errorNotice(error, action) {
  status();
  notice(...describeError(error), action, true);
}
