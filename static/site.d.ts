// What a site's own scripts may use, once `site.js` has run (it is deferred): `window.cg`, and an event on the
// document.

/** A visitor's state, as far as the page needs to know. `purposes` says which are permitted now. */
export interface ChoiceState {
  readonly status: "unknown" | "given" | "refused" | "withdrawn" | "expired" | "invalidated";
  readonly purposes: Readonly<Record<string, boolean>>;
  readonly objection: boolean;
}

export interface ConsentGateway {
  /** May data of this visitor be used for this purpose now? `false` until the server has answered: see `cg:change`. */
  permits(purpose: string): boolean;
  /**
   * A custom event of this page: a name of at most 64 characters, and up to 20 properties, which become text of at
   * most 256.
   * It is sent when and if this visitor's events may be.
   */
  event(name: string, props?: Readonly<Record<string, string | number | boolean>>): void;
  /** Show the preferences. Nothing can be granted but by the visitor's own click in them. */
  open(): void;
  /** Withdraw everything, as the visitor's own button does. `"kept"`: it counts, and is sent as soon as it can be. */
  withdraw(): Promise<"sent" | "kept">;
}

declare global {
  interface Window {
    readonly cg: ConsentGateway;
  }

  interface DocumentEventMap {
    /** The state is known, or has changed; also by another tab. */
    "cg:change": CustomEvent<ChoiceState>;
  }
}
