// As its documentation does: the configuration stands before the script.
window.klaroConfig = {
  version: 1,
  lang: "en",
  acceptAll: true,
  privacyPolicy: "/privacy",
  translations: {
    en: {
      consentNotice: { description: "We ask for your permission to measure visits and to show films of others." },
      purposes: { analytics: { title: "Analytics" }, marketing: { title: "Marketing" } },
    },
  },
  services: [
    { name: "measuring", title: "Measuring", purposes: ["analytics"] },
    { name: "films", title: "Films", purposes: ["marketing"] },
  ],
};
