// Where this visitor stands: asked once when the page is loaded, shared by everything else in this script.
import { ask } from "./wire.js";
import { keep, kept } from "./later.js";

// What the server said last (docs/contract.md: `GET /_cg/state`); undefined until it answered.
export let state;
// When the server was asked for it, or the choice was made that it answers: milliseconds of the page's clock.
export let takenAt = 0;
const hearers = [];

// May data of this visitor be used for this purpose now? Before the server answered: no.
export const permits = (purpose) => state?.purposes[purpose] === true;

// `hear(state, before, at)` now if the state is known, and after each change of it. `at` is when the server was asked;
// there is none with the answer to a choice.
export function listen(hear) {
  hearers.push(hear);
  if (state) hear(state);
}

// A choice is newer than all that was asked before it: an answer that comes late must not bring back what was withdrawn.
function take(next, at) {
  if (at < takenAt) return;
  takenAt = at || performance.now();
  const before = state;
  state = next;
  for (const hear of hearers) {
    try {
      hear(state, before, at);
    } catch (error) {
      reportError(error);
    }
  }
}

const askState = () => ask("state?language=" + document.documentElement.lang.slice(0, 2));

// Ask again. What could not be sent before goes first, so that what is taken is the truth. What the server can't take as it
// is, as of a purpose that is gone, is sent as a withdrawal: stricter, and never lost. The server says when to look: a script
// that reads a cookie waits for the browser's other process, as long as for all else that it does on load.
export async function refresh() {
  const at = performance.now();
  try {
    let next = await askState();
    const left = next.later ? kept() : [];
    while (left[0]) {
      await ask("choice", left.shift()).catch((why) => {
        if (why >= 400 && why < 500) return ask("choice", { action: "withdraw" });
        throw why;
      });
      keep(left); // the rest once more: the server ended the cookie
      if (!left[0]) next = await askState();
    }
    take(next, at);
  } catch {
    // away, or busy: it is asked again when the page is shown or the line is back
  }
}

// Take choices, one after the other: "sent" when they are on record, "kept" when they could not be sent and count all
// the same, because they grant nothing. A grant counts only when it is on record.
export async function choose(where, ...choices) {
  const { notice, language, nonce } = state;
  try {
    let next;
    for (const choice of choices) next = await ask("choice", { where, notice, language, nonce, ...choice });
    keep([]);
    take(next);
    return "sent";
  } catch {
    const strict = choices.map(withoutGrants).filter(Boolean);
    if (strict[0]) {
      keep(strict);
      take(refused(strict));
    }
    return strict.length === choices.length && !choices.some(grants) && "kept";
  }
}

// Does it permit anything?
export const grants = ({ action, purposes = {} }) => action === "accept_all" || Object.values(purposes).includes(true);

// What of a choice takes away.
function withoutGrants({ action, purposes }) {
  if (action === "save") {
    const ended = Object.entries(purposes).filter(([, yes]) => !yes);
    return ended[0] && { action, purposes: Object.fromEntries(ended) };
  }
  return action !== "accept_all" && action !== "unobject" && { action };
}

// What the server will say of somebody whose refusal it has not got yet.
function refused(choices) {
  const objection = state.objection || choices.some(({ action }) => action === "object");
  return { ...state, purposes: { measurement: !objection }, objection, status: "refused", ask: false };
}
