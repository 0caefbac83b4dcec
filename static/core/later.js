// A choice that could not be sent waits in a session cookie: what is chosen and no more, nothing that tells one
// visitor from another. The server reads it as a refusal until the choice has arrived.
const NAME = "cg-later=";

export const kept = () => {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(NAME));
  return found ? JSON.parse(decodeURIComponent(found.slice(NAME.length))) : [];
};

// Nothing to keep ends it.
export const keep = (choices) => {
  const value = choices[0] ? encodeURIComponent(JSON.stringify(choices)) : ";max-age=0";
  document.cookie = NAME + value + ";path=/;samesite=lax" + (location.protocol === "https:" ? ";secure" : "");
};
