// The theme, and the dialog that asks for a key.

import * as api from "./api.js";
import { $, icon } from "./elements.js";

function applyTheme() {
  const root = document.documentElement;
  const dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  $("theme").setAttribute("aria-pressed", String(dark));
  $("theme").replaceChildren(icon(dark ? "sun" : "moon"));
  return dark;
}
$("theme").addEventListener("click", () => {
  const theme = applyTheme() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  applyTheme();
  try {
    localStorage.setItem("theme", theme);
  } catch { /* then the choice lasts until the page is reloaded */ }
});

api.onKeyNeeded(() => new Promise((resolve) => {
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
      $("unlock-says").textContent = "This key is not accepted. Ask the person who runs the service.";
      $("key").select();
    } catch (error) {
      $("unlock-says").textContent = error.message;
    }
  };
}));

applyTheme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
