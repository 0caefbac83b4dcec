// What a site's own scripts may use: `window.cg` and the event `cg:change` on the document. Its types: `../site.d.ts`.
import { choose, listen, permits } from "./state.js";

export const api = {
  permits,
  withdraw: () => choose("page", { action: "withdraw" }),
};

window.cg = api;

listen(({ status, purposes, objection }) => {
  document.dispatchEvent(new CustomEvent("cg:change", { detail: { status, purposes, objection } }));
});
