// Where this visitor stands: asked once when the page is loaded, shared by everything else in this script.
import { ask } from "./wire.js";
import { forget, keep, kept } from "./later.js";

// What the server said last (docs/contract.md: `GET /_cg/state`); undefined until it answered.
export let state;
const hearers = [];

// May data of this visitor be used for this purpose now? Before the server answered: no.
export const permits = (purpose) => !!state && state.purposes[purpose] === true;

// `hear(state, before)` now if the state is known, and after each change of it.
export function listen(hear) {
  hearers.push(hear);
  if (state) hear(state);
}

export function take(next) {
  const before = state;
  state = next;
  for (const hear of hearers) {
    try {
      hear(state, before);
    } catch (error) {
      reportError(error);
    }
  }
}

// Ask again. What could not be sent before goes first, so that the answer is the truth.
export async function refresh() {
  const left = kept();
  try {
    for (const choice of left) await ask("choice", choice);
    if (left[0]) forget();
    take(await ask("state?language=" + document.documentElement.lang.slice(0, 2)));
  } catch {
    if (left[0] && state) take(refused(left));
  }
}

// Take choices, one after the other; the answer is whether they count. What grants nothing counts in any case: kept
// until it can be sent. A grant counts only when it is on record.
export async function choose(where, choices) {
  const { notice, language, nonce } = state;
  const waiting = choices.slice();
  try {
    for (const choice of choices) {
      const next = await ask("choice", { where, notice, language, nonce, ...choice });
      waiting.shift();
      if (!waiting[0]) take(next);
    }
    forget();
    return true;
  } catch {
    const strict = waiting.map(withoutGrants).filter(Boolean);
    if (strict[0]) {
      keep(strict);
      take(refused(strict));
    }
    return strict.length === waiting.length;
  }
}

// What of a choice takes away, if anything does.
function withoutGrants(choice) {
  const { action, purposes = {} } = choice;
  if (action === "accept_all" || action === "unobject") return;
  if (!Object.values(purposes).includes(true)) return choice;
  const ended = Object.keys(purposes).filter((purpose) => !purposes[purpose] && permits(purpose));
  return ended[0] && { action, purposes: Object.fromEntries(ended.map((purpose) => [purpose, false])) };
}

// What the server will say of somebody whose refusal it has not got yet.
function refused(choices) {
  const objection = state.objection || choices.some(({ action }) => action === "object");
  const purposes = Object.fromEntries(Object.keys(state.purposes).map((name) => [name, name === "measurement" && !objection]));
  return { ...state, purposes, objection, status: "refused", ask: false };
}
