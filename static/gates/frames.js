// `<iframe data-purpose="marketing" data-src="https://…">`: in its place, and as large, stands what would come from
// whom, and two buttons: show it once, or always. Withdrawn, it is taken out again.
import { box, dress, isEarnest, tell } from "../banner/root.js";
import { make } from "../core/dom.js";
import { button, notice, word } from "../core/notice.js";
import { choose } from "../core/state.js";
import { gate } from "./gate.js";

const frames = new WeakMap(); // by what stands in their place
const once = new WeakSet(); // shown by hand until the page goes

function uncover(element) {
  const frame = frames.get(element) || element;
  if (frame !== element) element.replaceWith(frame);
  if (!frame.src) frame.src = frame.dataset.src;
}

function cover(frame) {
  if (frames.has(frame) || once.has(frame)) return;
  const { purpose, src } = frame.dataset;
  const { host } = new URL(src, location);
  const { width, height } = box(frame);
  const front = make("cg-frame", { className: frame.className });
  front.dataset.purpose = purpose;
  // as wide as the frame was, and still so when the page gets narrower; through the object model, which no policy
  // forbids
  const wide = Math.abs(width - frame.parentElement.clientWidth) < 1 ? "100%" : width + "px";
  front.style.cssText = `display:inline-block;overflow:hidden;max-width:100%;width:${wide};height:${height}px`;
  frames.set(front, frame);
  const shadow = front.attachShadow({ mode: "open" });
  dress(shadow);
  const always = async (event) => {
    const choice = { action: "save", purposes: { [purpose]: true } };
    if (isEarnest(event) && !(await choose("page", choice))) tell(word("failed"));
  };
  const now = (event) => {
    if (isEarnest(event)) {
      once.add(frame);
      uncover(front);
    }
  };
  const name = notice.purposes.find(({ id }) => id === purpose)?.name;
  shadow.append(
    make(
      "div",
      { className: "frame", role: "group", ariaLabel: frame.title || host, lang: notice.language },
      make("p", {}, word("frame", { host, purpose: name || purpose })),
      make("div", { className: "three" }, button("once", now), button("always", always)),
    ),
  );
  frame.removeAttribute("src");
  frame.replaceWith(front);
}

gate("iframe[data-purpose],cg-frame", uncover, cover);
