// What waits to be sent, in memory only: until the server said that it may be, and until it took it.
import { listen } from "../core/state.js";
import { place } from "../core/wire.js";

const MOST_EVENTS = 100;
const LOT_EVENTS = 30;
const OLDEST_MS = 1_800_000; // the contract's `age_ms`
const AGAIN_S = 30;
const KEEPALIVE_LENGTH = 20_000; // a browser refuses more than 64 KiB, and a character may take three

let queue = [];
let mayLeave; // may events be sent? undefined: not known yet, or not before the visitor chose
let sending; // the events of the request under way
let delayed; // and it is waited for the time to try them again

const toBody = (events) =>
  JSON.stringify(events.map(({ at, ...event }) => ({ ...event, age_ms: Math.max(0, Math.round(performance.now() - at)) })));

const postEvents = (text) =>
  fetch(place("events"), { method: "POST", body: text, credentials: "include", keepalive: text.length < KEEPALIVE_LENGTH });

const fresh = () => queue.filter(({ at }) => performance.now() - at < OLDEST_MS);

// `at` by the monotonic clock. Of the engagements of one view, which are cumulative, the last is enough.
export function addEvent(event, at) {
  if (mayLeave === false) return;
  queue = fresh().filter(({ type, view }) => !(type === "engagement" && event.type === type && event.view === view));
  if (queue.length < MOST_EVENTS) queue.push({ ...event, at });
}

// Send what waits, one request after the other. What the server can't take now (503), or what didn't reach it, is tried
// again; the ids keep it from counting twice.
export async function sendEvents() {
  if (!mayLeave || sending) return;
  sending = fresh().slice(0, LOT_EVENTS);
  if (sending[0]) {
    let wait = 0;
    try {
      const { status, headers } = await postEvents(toBody(sending));
      if (status === 503 || status === 429) wait = +headers.get("Retry-After") || AGAIN_S;
    } catch {
      wait = AGAIN_S;
    }
    if (wait) {
      delayed = true;
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
      delayed = false;
    } else {
      queue = queue.filter((event) => !sending.includes(event));
    }
    sending = 0;
    sendEvents();
  } else {
    sending = 0;
  }
}

// The page may be gone in a moment: what is not under way goes by beacon, and what was delayed stays here as well.
export function hurry() {
  if (!mayLeave) return;
  const left = fresh().filter((event) => delayed || !sending || !sending.includes(event));
  for (let from = 0; from < left.length; from += LOT_EVENTS) {
    const text = toBody(left.slice(from, from + LOT_EVENTS));
    if (!navigator.sendBeacon(place("events"), text)) postEvents(text).catch(() => {});
  }
  if (!delayed) queue = queue.filter((event) => !left.includes(event));
}

// The page was away, so what it knew may be no longer true: wait for the answer.
export const holdEvents = () => {
  mayLeave = undefined;
};

// `forget` is called when what was counted so far must be forgotten.
export const sendWhenPermitted = (forget) => {
  listen(({ purposes, objection, ask, script_needs_consent }) => {
    const may = purposes.analytics || (purposes.measurement && !script_needs_consent);
    const before = mayLeave;
    mayLeave = may || (ask && script_needs_consent && !objection ? undefined : false);
    if (mayLeave === false || before === false) {
      queue = [];
      forget();
    }
    sendEvents();
  });
};
