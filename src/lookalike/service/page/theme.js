// What must be known before the page is drawn, so that nothing flashes: the theme, and whether results will come.
if (/[?&](id|up|q|more)=/.test(location.search)) document.documentElement.classList.add("arriving");
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* without storage, the page uses the system's theme */ }
