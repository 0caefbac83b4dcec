// A choice that could not be sent waits in a session cookie: what is chosen and no more, nothing that tells one
// visitor from another. The server reads it as a refusal until the choice has arrived.
export const kept = () => {
  const found = /(?:^| )cg-later=([^;]+)/.exec(document.cookie);
  return found ? JSON.parse(decodeURIComponent(found[1])) : [];
};

// Nothing to keep ends it.
export const keep = (choices) => {
  const value = choices[0] ? encodeURIComponent(JSON.stringify(choices)) : ";max-age=0";
  document.cookie = "cg-later=" + value + ";path=/;samesite=lax" + (location.protocol === "https:" ? ";secure" : "");
};
