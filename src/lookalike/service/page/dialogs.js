// Dialogs: a click beside one closes it, and so does the browser's back button.

import { rememberPlace } from "./state.js";

const FIRM = ["unlock", "adding"]; // a click beside these would lose what was typed, or a running upload

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => { if (event.target === dialog && !FIRM.includes(dialog.id)) dialog.close(); });
  new MutationObserver(() => follow(dialog)).observe(dialog, { attributeFilter: ["open"] });
}

/** Give an open dialog an entry in the history of its own, and take it away when the dialog closes. */
function follow(dialog) {
  const own = history.state?.dialog === dialog.id;
  if (dialog.open && !own) {
    rememberPlace();
    history.pushState({ dialog: dialog.id }, "");
  } else if (!dialog.open && own) history.back();
}

addEventListener("popstate", () => {
  for (const dialog of document.querySelectorAll("dialog[open]"))
    if (history.state?.dialog !== dialog.id && dialog.id !== "unlock") dialog.close();
});
