// Shows what the visitor chose and takes a new choice. Talks to the gateway's own two routes, keeps nothing.
"use strict";

const STATUS = {
  unknown: "You have not chosen yet. Until you do, nothing that needs your consent is done.",
  given: "You allowed analytics.",
  refused: "You refused analytics.",
  withdrawn: "You withdrew your consent.",
  expired: "Your choice has run out. Until you choose again, nothing that needs your consent is done.",
  invalidated: "What we ask has changed, so your earlier choice no longer counts. Please choose again.",
};

const buttons = document.querySelectorAll("[data-action]");
let state = null;

function say(id, text) {
  const line = document.getElementById(id);
  line.textContent = text;
  line.hidden = !text;
}

function show() {
  const given = state.status === "given";
  const answered = given || state.status === "refused" || state.status === "withdrawn";
  const offered = {
    accept_all: !given,
    reject_all: !answered,
    withdraw: given,
    object: !state.objection,
    unobject: state.objection,
  };
  for (const button of buttons) {
    button.hidden = !offered[button.dataset.action];
    button.disabled = false;
  }
  const left = given ? "what is kept rests on your consent alone." : "your visits are not measured.";
  say("status", STATUS[state.status] + (state.objection ? ` You object to measurement: ${left}` : ""));
  const sent = [];
  if (state.signals.gpc) sent.push("Global Privacy Control");
  if (state.signals.dnt) sent.push("Do Not Track");
  say("signals", sent.length ? `Your browser sends ${sent.join(" and ")}: without a choice of yours that counts as a refusal and an objection.` : "");
}

async function load() {
  const answer = await fetch("/_cg/state?language=en", { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error("What you chose can’t be read right now. Please try again in a moment.");
  state = await answer.json();
  show();
}

async function choose(action) {
  const { notice, nonce } = state;
  const answer = await fetch("/_cg/choice", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ action, notice, language: "en", nonce }),
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || body.title || "Your choice could not be taken. Please try again in a moment.");
  if (body.receipt) {
    const receipt = document.getElementById("receipt");
    receipt.querySelector("pre").textContent = typeof body.receipt === "string" ? body.receipt : JSON.stringify(body.receipt, null, 2);
    receipt.hidden = false;
  }
  await load();
}

async function attempt(work) {
  say("trouble", "");
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } catch (error) {
    say("trouble", error instanceof TypeError ? "The server could not be reached." : error.message);
    if (!state) say("status", "We don’t know what you chose.");
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

for (const button of buttons) button.addEventListener("click", () => attempt(() => choose(button.dataset.action)));
attempt(load);
