// One visitor, one truth: what is chosen in one tab holds in the others, and a page that comes back asks again.
import { listen, refresh, takenAt } from "./state.js";

const STALE_MS = 60_000;
let channel;

// Open only while the page is shown: an open channel can keep a page out of the back-forward cache.
function tune() {
  channel = new BroadcastChannel("cg");
  channel.onmessage = refresh;
}

listen((state, before, at) => {
  if (before && !at) channel.postMessage(0);
});

addEventListener("pagehide", () => channel.close());

addEventListener("pageshow", ({ persisted }) => {
  if (persisted) {
    tune();
    refresh();
  }
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && performance.now() - takenAt > STALE_MS) refresh();
});

addEventListener("online", refresh);

tune();
refresh();
