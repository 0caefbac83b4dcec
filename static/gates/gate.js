// What waits for a purpose: found in the page, also what comes later; opened when the purpose is permitted, and
// closed when it no longer is.
import { listenWithNotice, notice } from "../core/notice.js";
import { permits } from "../core/state.js";

// `open(element)` or `close(element)` for every element of the selector, by its data-purpose.
export function gate(selector, open, close) {
  const sort = () => {
    if (!notice) return;
    for (const element of document.querySelectorAll(selector)) {
      (permits(element.dataset.purpose) ? open : close)(element);
    }
  };
  listenWithNotice(sort);
  new MutationObserver(sort).observe(document, { childList: true, subtree: true });
}
