// Where everything that the visitor sees lives: one element beside the body, its content out of reach of the page's
// styles.
import deep from "./deep.css" with { type: "text" };
import look from "./look.css" with { type: "css" };
import { make } from "../core/dom.js";

export const root = make("cg-choice").attachShadow({ mode: "open" });
root.adoptedStyleSheets = [look];

// The landmark that holds the first layer or, after a choice, the button that brings it back.
export const region = make("section");
const voice = make("output");
root.append(region, voice);

let silence;

// Say what happened, to the eye and to a screen reader; the words go by themselves, unless there is something to do.
export function tell(text, todo = "") {
  clearTimeout(silence);
  voice.replaceChildren(text, todo);
  if (!todo) silence = setTimeout(tell, 8000, "");
}

// What lies deeper than the first layer has a style sheet of its own, read when the first of it is shown.
let whole;

export function dress(shadow) {
  if (!whole) {
    whole = new CSSStyleSheet();
    whole.replaceSync(deep);
  }
  shadow.adoptedStyleSheets = [look, whole];
}

export const box = (element) => element.getBoundingClientRect();

// Is this a person's own click, on something that they can see? Only such a one grants.
export function isEarnest({ isTrusted, target }) {
  const { left, top, width, height } = box(target);
  const { host } = target.getRootNode();
  const isOnTop = document.elementFromPoint(left + width / 2, top + height / 2) === host;
  return isTrusted && isOnTop && host.checkVisibility({ opacityProperty: true, visibilityProperty: true });
}
