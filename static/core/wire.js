// The way to the gateway that this script came from.

// Everything hangs beside the script, whatever the prefix, the host and the script's own (hashed) name.
const { src } = document.currentScript;
const base = src.slice(0, src.lastIndexOf("/") + 1);

export const place = (path) => base + path;

// One request, the visitor's cookie with it. An answer that says no is an error too.
export async function ask(path, body) {
  const answer = await fetch(place(path), {
    credentials: "include",
    ...(body && {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      keepalive: true, // also when the visitor is on the way to another page
    }),
  });
  if (!answer.ok) throw answer.status;
  return answer.json();
}
