// Before the page is drawn, so that it does not flash: the theme that was chosen here.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* a browser that keeps nothing shows the theme of its system */ }
