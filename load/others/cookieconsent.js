// As its documentation does for a choice between yes and no: it knows no purposes.
window.cookieconsent.initialise({
  type: "opt-in",
  palette: { popup: { background: "#fff", text: "#222" }, button: { background: "#222", text: "#fff" } },
  content: { message: "We ask for your permission to measure visits and to show films of others.", allow: "Accept", deny: "Refuse" },
});
