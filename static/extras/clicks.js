// Where a page leads: links to other sites, downloads, forms, and pages that are missing. As custom events; of an address no more
// than host and path, of a form no more than its name.
import { gateway } from "./gateway.js";

const FILE =
  /\.(7z|apk|avi|bz2|csv|dmg|docx?|epub|exe|gz|ics|iso|jar|json|mov|mp[34]|msi|od[pst]|ogg|pdf|pkg|pptx?|rar|rpm|rtf|svg|tar|tgz|txt|wav|webm|xlsx?|xml|xz|zip)$/i;

const bare = (url) => {
  const { host, pathname } = new URL(url, location.href);
  return (host === location.host ? "" : host) + pathname;
};

function follow({ target, button, type }) {
  const link = target.closest?.("a[href]");
  if (!/^https?:$/.test(link?.protocol) || (type === "auxclick" && button !== 1)) return;
  if (link.hasAttribute("download") || FILE.test(link.pathname)) gateway.event("download", { file: bare(link.href) });
  else if (link.host !== location.host) gateway.event("outbound", { to: bare(link.href) });
}

addEventListener("click", follow, true);
addEventListener("auxclick", follow, true);

addEventListener(
  "submit",
  ({ target }) => {
    const name = ["id", "name"].map((key) => target.getAttribute(key)).find(Boolean);
    gateway.event("form", { form: name ?? bare(target.getAttribute("action") ?? "") });
  },
  true,
);

const { responseStatus, serverTiming } = performance.getEntriesByType("navigation")[0] ?? {};
if (responseStatus === 404 || serverTiming?.some(({ name, description }) => name === "cg" && description === "404"))
  gateway.event("not_found", document.referrer ? { from: bare(document.referrer) } : {});
