// One visitor, one truth: what is chosen in one tab holds in the others, and a page that comes back asks again.
import { listen, refresh } from "./state.js";

const STALE_MS = 60_000;
let channel;
let asked = 0;
let heard = false;

function recheck() {
  asked = performance.now();
  heard = true;
  refresh().finally(() => {
    heard = false;
  });
}

// Open only while the page is shown: an open channel can keep a page out of the back-forward cache.
function tune() {
  channel = new BroadcastChannel("cg");
  channel.onmessage = recheck;
}

listen((state, before) => {
  if (before && !heard) channel?.postMessage(0);
});

addEventListener("pagehide", () => {
  channel?.close();
  channel = undefined;
});

addEventListener("pageshow", ({ persisted }) => {
  if (!channel) tune();
  if (persisted) recheck();
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && performance.now() - asked > STALE_MS) recheck();
});

addEventListener("online", recheck);

tune();
recheck();
