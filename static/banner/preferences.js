// The preferences: a real dialog with every purpose in full, nothing ticked that was not chosen, and the objection
// apart.
import { make } from "../core/dom.js";
import { button, notice, word } from "../core/notice.js";
import { permits, state } from "../core/state.js";
import { place } from "../core/wire.js";
import { dress, root } from "./root.js";

let dialog;

export const closeDialog = () => dialog?.close();

export const moreLink = () => make("a", { href: place("privacy?language=" + notice.language) }, word("page"));

const localDate = (day) => new Date(day).toLocaleDateString(notice.language);

// `act(event, where, ...choices)` takes what is chosen.
export function openDialog(act) {
  closeDialog();
  const { objection, status, signals, announced } = state;
  const wanted = {}; // by purpose; changed by people only, whatever a script does to the boxes
  let objects = objection;

  const send = (name, action, purposes) =>
    button(name, (event) => {
      const stop = objects === objection ? [] : [{ action: objects ? "object" : "unobject" }];
      act(event, "preferences", { action, purposes }, ...stop);
    });
  const parts = { asked: [], measured: [], others: [] };
  for (const purpose of notice.purposes) {
    const { id, name, asked } = purpose;
    if (asked) {
      wanted[id] = permits(id);
      parts.asked.push(part(purpose, name, wanted[id], (yes) => (wanted[id] = yes)));
    } else if (id === "measurement") {
      const change = (yes) => (objects = yes);
      parts.measured.push(make("h3", {}, word("object_title")), part(purpose, word("object"), objects, change));
    } else {
      parts.others.push(part(purpose, name));
    }
  }
  if (parts.others[0]) parts.others.unshift(make("h3", {}, word("others")));

  dialog = make(
    "dialog",
    { ariaLabel: word("title"), onclose: ({ target }) => target.remove() },
    make(
      "div",
      { className: "head" },
      make("h2", {}, word("title")),
      make("button", { type: "button", ariaLabel: word("close"), onclick: closeDialog }, "×"),
    ),
    make(
      "div",
      { className: "scroll", tabIndex: 0, role: "group", ariaLabel: word("purposes") },
      make("p", {}, notice.text),
      make("p", { className: "now" }, word(status), signals.gpc || signals.dnt ? " " + word("signal") : ""),
      announced ? make("p", {}, word("announced", { ...announced, date: localDate(announced.effective) })) : "",
      ...parts.asked,
      ...parts.measured,
      ...parts.others,
      moreLink(),
    ),
    make(
      "div",
      { className: "three foot" },
      send("accept", "accept_all"),
      send("refuse", status === "given" ? "withdraw" : "reject_all"),
      send("save", "save", wanted),
    ),
  );
  dress(root);
  root.append(dialog);
  dialog.showModal();
}

// One purpose: its box if there is something to choose, what it is in a sentence or two, and the whole in details.
function part(purpose, label, checked, change) {
  const { text, basis_name, data, retention, cookies, services } = purpose;
  const onchange = ({ isTrusted, target }) => isTrusted && change(target.checked);
  const rows = {
    basis: [basis_name],
    data,
    retention: [retention],
    cookies: cookies.map(({ name, text, duration }) => `${name}: ${text} (${duration})`),
    services: services.map(({ name, country }) => `${name}, ${country}`),
  };
  return make(
    "div",
    { className: "purpose" },
    change ? make("label", {}, make("input", { type: "checkbox", checked, onchange }), label) : make("h4", {}, label),
    make("p", {}, text),
    make(
      "details",
      {},
      make("summary", {}, word("details")),
      make(
        "dl",
        {},
        ...Object.entries(rows).flatMap(([name, items]) => [
          make("dt", {}, word(name)),
          ...(items[0] ? items : [word("none")]).map((item) => make("dd", {}, item)),
        ]),
      ),
    ),
  );
}
