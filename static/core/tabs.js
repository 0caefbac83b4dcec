// One visitor, one truth: what is chosen in one tab holds in the others, and a page that comes back asks again.
import { listen, refresh } from "./state.js";

const STALE_MS = 60_000;
let channel;
let checkedAt;
let isChecking;

async function recheck() {
  checkedAt = performance.now();
  isChecking = true;
  await refresh();
  isChecking = false;
}

// Open only while the page is shown: an open channel can keep a page out of the back-forward cache.
function tune() {
  channel = new BroadcastChannel("cg");
  channel.onmessage = recheck;
}

listen((state, before) => {
  if (before && !isChecking) channel.postMessage(0);
});

addEventListener("pagehide", () => channel.close());

addEventListener("pageshow", ({ persisted }) => {
  if (persisted) {
    tune();
    recheck();
  }
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && performance.now() - checkedAt > STALE_MS) recheck();
});

addEventListener("online", recheck);

tune();
recheck();
