// No product: what anything takes that asks a server where the visitor stands, gets its text, and shows a heading, a list
// and three buttons. No style, no logic, no listener.
const make = (tag, ...children) => {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
};
const ask = async (path) => (await fetch("/_cg/" + path, { credentials: "include" })).json();

(async () => {
  const { notice } = await ask("state?language=en");
  const { words, purposes } = await ask("notices/" + notice);
  const host = make("div");
  const items = purposes.map(({ name, text }) => make("li", make("b", name), " ", text));
  const buttons = ["accept", "refuse", "choose"].map((name) => make("button", words[name]));
  host.attachShadow({ mode: "open" }).append(
    make("section", make("h2", words.ask), make("ul", ...items), make("p", words.free), make("div", ...buttons), make("a", words.page)),
  );
  document.body.before(host);
})();
