// `<script type="text/plain" data-purpose="marketing" src="…">`: run when the purpose is permitted, in their order.
// What has run can't be taken back; what can be is: no more of them run, and the visitor is told that loading the
// page again ends the rest.
import { tell } from "../banner/root.js";
import { button, listenWithNotice, word } from "../core/notice.js";
import { permits } from "../core/state.js";
import { gate } from "./gate.js";

const ran = new Set();

function run(waiting) {
  const { purpose, type } = waiting.dataset;
  const script = waiting.cloneNode(true); // with its nonce
  script.type = type || "";
  script.async = waiting.hasAttribute("async");
  ran.add(purpose);
  waiting.replaceWith(script);
}

gate('script[type="text/plain"][data-purpose]', run, () => {});

listenWithNotice(() => {
  for (const purpose of ran) {
    if (!permits(purpose)) {
      ran.delete(purpose);
      setTimeout(tell, 0, word("ran"), button("reload", () => location.reload()));
    }
  }
});
