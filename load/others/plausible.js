// As its documentation does; the endpoint is this machine.
import { init } from "/others/plausible/package/plausible.js";

init({ domain: "example.com", endpoint: "/others/sink", captureOnLocalhost: true });
