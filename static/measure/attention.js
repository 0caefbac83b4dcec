// Engaged time: the page is shown, has the focus, and its reader did something within 30 s. By the monotonic clock; pure.

const IDLE_MS = 30_000;
let engaged = 0;
let since = 0; // counted up to here,
let until = 0; // and engaged up to here

// What it comes to now.
export function engagedMs(now) {
  engaged += Math.max(0, Math.min(now, until) - since);
  since = now;
  return Math.round(engaged);
}

// The reader did something.
export function attend(now) {
  engagedMs(now);
  until = now + IDLE_MS;
}

// The page went out of sight, or another window got the focus.
export function turnAway(now) {
  engagedMs(now);
  until = now;
}

// Another view begins, with the same reader before it.
export function countAnew(now) {
  engagedMs(now);
  engaged = 0;
}
