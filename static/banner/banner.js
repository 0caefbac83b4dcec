// The first layer: who asks, for what, and three buttons that weigh the same. Then the button that brings it back.
import { api } from "../core/api.js";
import { make } from "../core/dom.js";
import { button, listenWithNotice, notice, word } from "../core/notice.js";
import { choose, grants, refresh, state } from "../core/state.js";
import { closeDialog, moreLink, openDialog } from "./preferences.js";
import { box, isEarnest, region, root, tell } from "./root.js";

let isAsking;
let hasRoom; // at the page's foot, for what has the focus
let shown; // the state that what is to be seen was drawn for

const decisive = () => JSON.stringify({ ...state, nonce: 0 });

// Take choices. What grants counts only if it was a person's click on what they can see, and on what is still the
// notice. The banner goes at once, and comes back if the choice did not count.
async function act(event, where, ...choices) {
  if (choices.some(grants) && (!isEarnest(event) || shown !== decisive())) return;
  const wasAsking = isAsking;
  closeDialog();
  draw(false);
  const result = await choose(where, ...choices);
  if (!result) {
    draw(wasAsking);
    refresh(); // what a grant needs may have grown too old
  }
  tell(word(result === "sent" ? state.status : result || "failed"));
}

function firstLayer() {
  const { touches } = state; // after a change of the policy, only what that change touches is asked again
  const asked = notice.purposes.filter(({ id, asked }) => asked && (!touches[0] || touches.includes(id)));
  const all = (name, yes, action) => {
    const anew = { action: "save", purposes: Object.fromEntries(touches.map((id) => [id, yes])) };
    return button(name, (event) => act(event, "banner", touches[0] ? anew : { action }));
  };
  return [
    make("h2", {}, word("ask", notice.controller)),
    ...(touches[0] ? [make("p", {}, word("changed"), " ", notice.changes)] : []),
    make("ul", {}, ...asked.map(({ name, text }) => make("li", {}, make("b", {}, name), " ", text))),
    make("p", {}, word("free")),
    make(
      "div",
      { className: "three" },
      all("accept", true, "accept_all"),
      all("refuse", false, "reject_all"),
      button("choose", show),
    ),
    moreLink(),
  ];
}

// After a choice: the way back, and the way out, which takes one click as the way in did.
const corner = () => [
  button("label", show),
  state.status === "given" ? button("withdraw", (event) => act(event, "banner", { action: "withdraw" })) : "",
];

// The first layer stands in front of the body, so that a keyboard meets it first; the corner behind it. Beside the
// body and not in it: no rule of the page like `body > :first-child` changes, and no framework that owns the body
// removes it.
function draw(asking) {
  isAsking = asking;
  const hadFocus = root.activeElement;
  region.className = asking ? "ask" : "corner";
  region.ariaLabel = word("label");
  region.replaceChildren(...(asking ? firstLayer() : corner()));
  root.host.lang = notice.language;
  if (hasRoom) leaveRoom("");
  document.body[asking ? "before" : "after"](root.host);
  if (hadFocus) region.querySelector("button").focus();
}

const show = () => openDialog(act);

function leaveRoom(room) {
  const { style } = document.documentElement;
  style.paddingBottom = style.scrollPaddingBottom = hasRoom = room;
}

region.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && isAsking) draw(false); // no choice: the next page asks again
});

// An element of the page that gets the focus is never left under what we show, not even the last of the page.
addEventListener("focusin", ({ target }) => {
  const ours = box(region);
  const { top, bottom, left, right } = box(target);
  if (target !== root.host && bottom > ours.top && top < ours.bottom && right > ours.left && left < ours.right) {
    leaveRoom(innerHeight - ours.top + 9 + "px");
    target.scrollIntoView({ block: "nearest" });
  }
});

// `<a href="/_cg/privacy" data-cg-open>`: a link of the page to the preferences; without this script it leads to the
// page.
addEventListener("click", (event) => {
  if (notice && event.target.closest?.("[data-cg-open]")) {
    event.preventDefault();
    show();
  }
});

api.open = () => notice && show();

// Drawn again only when something changed, so that what has the focus, or is half filled in, stays. A page in
// another's frame asks nothing.
listenWithNotice(() => {
  if (shown === decisive() || self !== top) return;
  shown = decisive();
  closeDialog();
  draw(state.ask);
});
