// Light or dark. The system's choice holds until a person makes another, and again once theirs is the same as the system's.

const system = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark now. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

/** The other colours, kept for the next visit. */
export function switchTheme() {
  const dark = !isDark();
  const follows = dark === system.matches;
  if (follows) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = dark ? "dark" : "light";
  try {
    if (follows) localStorage.removeItem("inkstone-theme");
    else localStorage.setItem("inkstone-theme", dark ? "dark" : "light");
  } catch { /* a browser that keeps nothing */ }
}

/** Be told when the system changes its mind. */
export function onSystemTheme(listener) {
  system.addEventListener("change", listener);
}
