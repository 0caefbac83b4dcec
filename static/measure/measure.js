// Page views, engaged time and custom events. Nothing is stored on the device, and nothing leaves it before the server said
// that it may. docs/contract.md says who counts which view.
import { api } from "../core/api.js";
import { attend, countAnew, engagedMs, turnAway } from "./attention.js";
import { firstView, newId } from "./first.js";
import { addEvent, holdEvents, hurry, sendEvents, sendWhenPermitted } from "./queue.js";

const clock = () => performance.now();
const address = () => document.URL.split("#")[0].slice(0, 2048);
const pathOf = (url) => url.split("?")[0];

let view = {}; // of this moment: `id`, none of an error's page; `url`; `loaded` with the page; what was `said` of it
let here; // the address, also where it changed without a new view
let deepest = 0;

// How far down the page was seen, in per cent.
function sound() {
  const { scrollHeight } = document.documentElement;
  deepest = Math.max(deepest, Math.min(100, Math.round(((scrollY + innerHeight) / scrollHeight) * 100) || 0));
}

const windowSize = () => (innerWidth < 640 ? "sm" : innerWidth < 1024 ? "md" : "lg");

function beginView({ id, ours, loaded }, at, referrer) {
  here = address();
  view = { id, loaded, url: here };
  forgetView();
  if (ours) addEvent({ type: "page_view", id, view: id, url: here, referrer, screen: windowSize() }, at);
  sendEvents();
}

function forgetView() {
  countAnew(clock());
  deepest = 0;
}

// What is known of the view by now; the last word counts.
function reportView() {
  const { id, url, loaded } = view;
  const engaged_ms = engagedMs(clock());
  const timings = loaded ? api.timings?.() : undefined;
  const said = JSON.stringify([engaged_ms, deepest, timings]);
  if (!id || !(engaged_ms || timings) || said === view.said) return;
  view.said = said;
  addEvent({ type: "engagement", id: newId(), view: id, url, engaged_ms, scroll_pct: deepest, screen: windowSize(), timings }, clock());
}

// In a single-page app another address is another view; a replaced one only with another path.
function moved(replaced) {
  const next = address();
  if (next === here) return;
  if (replaced && pathOf(next) === pathOf(here)) {
    here = next;
    return;
  }
  reportView();
  beginView({ id: newId(), ours: true }, clock(), here);
}

function stir({ type } = {}) {
  if (!document.hasFocus() || document.visibilityState !== "visible") return;
  attend(clock());
  if (type && type !== "pointermove") sound(); // not at the start: the page is not laid out yet
}

function leaveView() {
  turnAway(clock());
  sound();
  reportView();
  hurry();
}

function startViews() {
  const entry = performance.getEntriesByType("navigation")[0] ?? {};
  beginView({ ...firstView(entry), loaded: true }, entry.activationStart || 0, document.referrer);
  attendFromNow();
}

function attendFromNow() {
  for (const name of ["pointerdown", "pointermove", "keydown", "wheel", "scroll", "focus"]) addEventListener(name, stir, { passive: true });
  addEventListener("blur", () => document.hasFocus() || turnAway(clock()));
  document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? stir() : leaveView()));
  addEventListener("pagehide", leaveView);
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    holdEvents();
    beginView({ id: newId(), ours: true }, clock(), here);
    stir();
  });
  if (window.navigation) {
    // of what only changed the entry's state, the type is null
    navigation.addEventListener("currententrychange", ({ navigationType }) => moved(navigationType === "replace"));
  } else {
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function (...values) {
        original.apply(this, values);
        moved(name === "replaceState");
      };
    }
    addEventListener("popstate", () => moved());
  }
  stir();
}

// A custom event: a name, and properties that become text.
api.event = (name, props = {}) => {
  const pairs = Object.entries(props).slice(0, 20);
  const texts = pairs.map(([key, value]) => [key.slice(0, 64), String(value).slice(0, 256)]);
  addEvent(
    { type: "custom", id: newId(), view: view.id, url: address(), name: String(name).slice(0, 64), props: Object.fromEntries(texts) },
    clock(),
  );
  sendEvents();
};

sendWhenPermitted(forgetView);
if (document.prerendering) document.addEventListener("prerenderingchange", startViews, { once: true });
else startViews();
