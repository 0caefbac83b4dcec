// Who counts the view that a load is? The server hands the id of the one that it wrote by `Server-Timing`; pure.

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// `{ id, ours }` of a navigation entry: `ours` when this script must send the page view. Without an id it is none: the
// server answered an error, or a form.
export function firstView(entry) {
  const told = entry.serverTiming?.find(({ name }) => name === "cg")?.description;
  if (entry.responseStatus >= 400 || told?.length === 3) return {};
  // From the browser's own cache: the server saw nothing, and an id in it is an earlier view's.
  const cached = entry.deliveryType === "cache" || (!entry.transferSize && entry.decodedBodySize > 0);
  if (told && !cached) return { id: told };
  // Where `Server-Timing` can't be read (plain http, Safari before 16.4) the server may have counted: rather none than two.
  return { id: newId(), ours: cached || !!entry.serverTiming };
}
