(function () {
  "use strict";
  var page = document.documentElement;
  function show(language) {
    page.setAttribute("data-language", language);
    page.setAttribute("lang", language === "zh" ? "zh-Hans" : "en");
    try { localStorage.setItem("inkstone-language", language); } catch (error) { /* a page opened from a file may not store */ }
  }
  var kept = null;
  try { kept = localStorage.getItem("inkstone-language"); } catch (error) { kept = null; }
  var asked = (location.hash.match(/^#(en|zh)$/) || [])[1];
  show(asked || kept || (/^zh/i.test(navigator.language || "") ? "zh" : "en"));
  document.getElementById("switch").addEventListener("click", function () {
    show(page.getAttribute("data-language") === "zh" ? "en" : "zh");
  });
})();
