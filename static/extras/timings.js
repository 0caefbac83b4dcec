// How fast the page came and how steady it was (Web Vitals), as the contract's `timings`. Asked when the view is reported.
import { gateway } from "./gateway.js";

const MOST_MS = 600_000; // the contract's
const WINDOW_GAP_MS = 1000;
const WINDOW_MS = 5000;
const WORST = 10;

const load = performance.getEntriesByType("navigation")[0] ?? {};
const begun = load.activationStart || 0; // a prerendered page begins when it is shown
const observers = [];
let hiddenAt = document.visibilityState === "hidden" && !document.prerendering ? 0 : Infinity;
let fcp_ms;
let lcp_ms;
let cls;
let windowSum = 0;
let windowStart = 0;
let windowEnd = -Infinity;
let worst = []; // interactions: `[id, milliseconds]`, the longest first

function observe(type, hear, options) {
  if (!PerformanceObserver.supportedEntryTypes?.includes(type)) return;
  const observer = new PerformanceObserver((list) => list.getEntries().forEach(hear));
  observer.observe({ type, buffered: true, ...options });
  observers.push(() => observer.takeRecords().forEach(hear));
}

document.addEventListener("visibilitychange", ({ timeStamp }) => {
  if (document.visibilityState === "hidden") hiddenAt = Math.min(hiddenAt, timeStamp);
});

observe("paint", ({ name, startTime }) => {
  if (name === "first-contentful-paint" && startTime < hiddenAt) fcp_ms = startTime - begun;
});

// The browser stops telling of larger ones at the first input.
observe("largest-contentful-paint", ({ startTime }) => {
  if (startTime < hiddenAt) lcp_ms = startTime - begun;
});

// The worst burst of shifts: less than a second apart, five seconds at most.
observe("layout-shift", ({ hadRecentInput, startTime, value }) => {
  if (hadRecentInput) return;
  const goesOn = startTime - windowEnd < WINDOW_GAP_MS && startTime - windowStart < WINDOW_MS;
  windowSum = goesOn ? windowSum + value : value;
  if (!goesOn) windowStart = startTime;
  windowEnd = startTime;
  cls = Math.max(cls ?? 0, windowSum);
});

// One interaction has several entries; of fifty interactions the worst one is left out.
function hearInteraction({ interactionId, duration }) {
  if (!interactionId) return;
  const known = worst.find(([id]) => id === interactionId);
  if (known) known[1] = Math.max(known[1], duration);
  else worst.push([interactionId, duration]);
  worst = worst.sort((one, other) => other[1] - one[1]).slice(0, WORST);
}
observe("event", hearInteraction, { durationThreshold: 40 });
observe("first-input", hearInteraction);

const since = (time) => (time ? Math.max(0, time - begun) : undefined);

gateway.timings = () => {
  for (const take of observers) take();
  const inp = worst[Math.min(worst.length - 1, Math.floor((performance.interactionCount ?? 0) / 50))];
  const found = {
    ttfb_ms: since(load.responseStart),
    dom_ms: since(load.domContentLoadedEventEnd),
    load_ms: since(load.loadEventEnd),
    fcp_ms,
    lcp_ms,
    inp_ms: inp?.[1],
  };
  const kept = Object.entries(found).filter(([, value]) => value >= 0 && value <= MOST_MS);
  const rounded = kept.map(([name, value]) => [name, Math.round(value)]);
  if (observers[0] && cls === undefined && PerformanceObserver.supportedEntryTypes.includes("layout-shift")) cls = 0;
  return { ...Object.fromEntries(rounded), cls: cls === undefined ? cls : Math.round(cls * 1000) / 1000 };
};
