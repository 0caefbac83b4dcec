// The dashboard works without this. With it: pages change without a blink, periods by key, a live count.
"use strict";
(() => {
  const inPage = (url) => url.origin === location.origin && url.pathname === location.pathname;
  let asked = 0;

  async function show(address, push) {
    const mine = ++asked;
    document.documentElement.classList.add("busy");
    try {
      const answer = await fetch(address, { credentials: "same-origin", headers: { Accept: "text/html" } });
      const text = await answer.text();
      if (mine !== asked) return;
      const page = new DOMParser().parseFromString(text, "text/html");
      if (!page.getElementById("main")) return void location.assign(address);
      const held = document.activeElement && document.activeElement.getAttribute("href") && place(document.activeElement);
      if (push) history.pushState(null, "", answer.url || address);
      document.title = page.title;
      document.documentElement.lang = page.documentElement.lang;
      document.body.replaceChildren(...page.body.childNodes);
      if (push) focusAgain(held);
      live();
      showTab();
    } catch {
      location.assign(address);
    } finally {
      if (mine === asked) document.documentElement.classList.remove("busy");
    }
  }

  // where a link is, so that the keyboard goes on from the same one
  const place = (link) => {
    const group = link.closest("nav, dl, ul, section, article");
    const name = group && (group.getAttribute("aria-label") || group.getAttribute("aria-labelledby"));
    return name ? { name, number: [...group.querySelectorAll("a")].indexOf(link) } : null;
  };
  const focusAgain = (held) => {
    if (!held) return;
    const name = CSS.escape(held.name);
    const group = document.querySelector(`[aria-label="${name}"], [aria-labelledby="${name}"]`);
    const links = group ? group.querySelectorAll("a") : [];
    if (links.length) links[Math.min(held.number, links.length - 1)].focus({ preventScroll: true });
  };

  addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.hasAttribute("download") || !inPage(new URL(link.href))) return;
    event.preventDefault();
    const keeps = link.closest(".tools, .totals, .boxes");
    show(link.href, true).then(() => keeps || scrollTo(0, 0));
  });

  addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "get") return;
    event.preventDefault();
    show(`${location.pathname}?${new URLSearchParams(new FormData(form))}`, true);
  });

  addEventListener("popstate", () => show(location.href, false));

  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
      for (const why of document.querySelectorAll(".why:hover, .why:focus-within")) hush(why);
      return;
    }
    if (event.metaKey || event.ctrlKey || event.altKey || event.target.closest("input, select, textarea, .wide, .tabs")) return;
    const there = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!there) return;
    event.preventDefault();
    if (there.localName === "summary") {
      there.parentElement.open = true;
      there.parentElement.querySelector("select, input:not([type=hidden])").focus();
    } else there.click();
  });

  // an explanation that was sent away stays away until one comes back to it (WCAG 1.4.13)
  const hush = (why) => {
    why.classList.add("quiet");
    const back = () => why.classList.remove("quiet");
    why.addEventListener("pointerleave", back, { once: true });
    why.addEventListener("focusout", back, { once: true });
  };

  let timer = 0;
  async function live() {
    clearTimeout(timer);
    const line = document.querySelector("[data-live]");
    if (!line) return;
    if (!document.hidden) {
      try {
        const answer = await fetch(line.dataset.live, { credentials: "same-origin" });
        if (answer.ok) {
          const row = (await answer.json()).rows.find((row) => row.minutes === 5);
          const visitors = row ? row.visitors : 0, language = document.documentElement.lang;
          const words = new Intl.PluralRules(language).select(visitors) === "one" ? line.dataset.one : line.dataset.other;
          line.textContent = words.replace("{visitors}", visitors.toLocaleString(language));
        }
      } catch { /* away: tried again */ }
    }
    timer = setTimeout(live, 15000);
  }
  // a narrow screen shows some of the tabs: the one that is open among them
  const showTab = () => document.querySelector(".tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

  document.addEventListener("visibilitychange", () => document.hidden || live());
  live();
  showTab();
})();
