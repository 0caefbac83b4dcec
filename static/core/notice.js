// The notice: the exact text that this visitor is shown, in one language, by its hash. The banner's words are in it.
import { make } from "./dom.js";
import { listen } from "./state.js";
import { ask } from "./wire.js";

// docs/contract.md: `GET /_cg/notices/{sha256}`; undefined until it came.
export let notice;
let hash;
let reading;

// As `listen`, for what also needs the notice. One that could not be had is asked for again with the next state. A browser
// that is too old to show it as it is meant has none: there nothing waits to be allowed, and the privacy page does it all.
export const listenWithNotice = (hear) => {
  listen(async (now, before) => {
    if (hash !== now.notice && CSS.supports("color:light-dark(red,red)")) {
      hash = now.notice;
      reading = ask("notices/" + hash).catch(() => {
        hash = 0;
      });
    }
    const found = await reading;
    if (found) {
      notice = found;
      hear(now, before);
    }
  });
};

// A word of the banner, with its places filled: `word("ask", notice.controller)`.
export function word(name, values) {
  let text = notice.words[name];
  for (const key in values) text = text.replaceAll("{" + key + "}", () => values[key]);
  return text;
}

// A button that is called by a word.
export const button = (name, onclick) => make("button", { type: "button", onclick }, word(name));
