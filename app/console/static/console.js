// The page works without this file. With it, parts marked data-live are brought up to date while nobody is using them.
(() => {
  "use strict";
  const every = 10000;
  const button = document.querySelector("[data-refresh]");
  if (!button) return;
  const key = "aiagents-refresh";
  // Who asks for less motion gets a page that holds still until told otherwise.
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const saved = sessionStorage.getItem(key);
  let on = saved === null ? !still : saved === "on";
  const show = () => {
    button.hidden = false;
    button.textContent = on ? "Pause refresh" : "Refresh every 10 s";
    button.setAttribute("aria-pressed", String(!on));
  };
  const busy = (part) =>
    part.contains(document.activeElement) || part.querySelector("details[open]") || !getSelection().isCollapsed;
  const refresh = async () => {
    if (!on || document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const next = fresh.getElementById(part.id);
        if (next && !busy(part) && next.innerHTML !== part.innerHTML) part.replaceWith(document.importNode(next, true));
      }
    } catch { /* away for a moment: the next round tries again */ }
  };
  button.addEventListener("click", () => {
    on = !on;
    sessionStorage.setItem(key, on ? "on" : "off");
    show();
    refresh();
  });
  show();
  setInterval(refresh, every);
})();
