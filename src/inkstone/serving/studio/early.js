// Runs before anything is drawn, so that the page neither flashes in the other colours nor speaks the other language first.
"use strict";
(function () {
  const kept = (name) => {
    try { return localStorage.getItem(name); } catch { return null; }
  };
  const page = document.documentElement;
  const theme = kept("inkstone-theme");
  if (theme === "light" || theme === "dark") page.dataset.theme = theme;
  const language = kept("inkstone-language") || (/^zh/i.test(navigator.language || "") ? "zh" : "en");
  page.lang = language === "zh" ? "zh-Hans" : "en";
})();
