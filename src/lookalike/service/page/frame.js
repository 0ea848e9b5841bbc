// What stands around the search: the theme, how dialogs close, and the one that asks for a key.

import * as api from "./api.js";
import { $, icon } from "./elements.js";

for (const dialog of document.querySelectorAll("dialog"))
  dialog.addEventListener("click", (event) => { if (event.target === dialog && dialog.id !== "unlock") dialog.close(); });

function themed() {
  const root = document.documentElement;
  const dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  $("theme").setAttribute("aria-pressed", String(dark));
  $("theme").replaceChildren(icon(dark ? "sun" : "moon"));
  return dark;
}
$("theme").addEventListener("click", () => {
  const theme = themed() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  themed();
  try {
    localStorage.setItem("theme", theme);
  } catch { /* then until the page is loaded again */ }
});

api.whenLocked(() => new Promise((resolve) => {
  const dialog = $("unlock");
  dialog.returnValue = "";
  $("unlock-says").textContent = "";
  $("key").value = "";
  dialog.showModal();
  dialog.addEventListener("close", () => resolve(dialog.returnValue === "open"), { once: true });
  $("unlock-form").onsubmit = async (event) => {
    event.preventDefault();
    try {
      if (await api.unlock($("key").value)) return dialog.close("open");
      $("unlock-says").textContent = "That is not the key. Ask whoever runs this service.";
      $("key").select();
    } catch (error) {
      $("unlock-says").textContent = error.message;
    }
  };
}));

themed();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themed);
