// A choice that could not be sent waits in a session cookie: the action's name and no more, nothing that tells one visitor
// from another. The server reads it as a refusal (`consent_gateway/record/cookie.py`) until the choice has arrived.

const NAME = "cg-later=";
const END = ";path=/;samesite=lax" + (location.protocol === "https:" ? ";secure" : "");

export const kept = () => {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(NAME));
  try {
    return found ? JSON.parse(decodeURIComponent(found.slice(NAME.length))) : [];
  } catch {
    return [];
  }
};

export const keep = (choices) => {
  document.cookie = NAME + encodeURIComponent(JSON.stringify(choices)) + END;
};

export const forget = () => {
  if (kept()[0]) document.cookie = NAME + ";max-age=0" + END;
};
