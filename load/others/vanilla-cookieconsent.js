// As its documentation's "getting started" does, with two categories; shown to a driven browser as well, which it avoids by default.
CookieConsent.run({
  hideFromBots: false,
  categories: { necessary: { enabled: true, readOnly: true }, analytics: {}, marketing: {} },
  language: {
    default: "en",
    translations: {
      en: {
        consentModal: {
          title: "Your privacy",
          description: "We ask for your permission to measure visits and to show films of others.",
          acceptAllBtn: "Accept all",
          acceptNecessaryBtn: "Refuse all",
          showPreferencesBtn: "Choose",
        },
        preferencesModal: {
          title: "Your choices",
          acceptAllBtn: "Accept all",
          acceptNecessaryBtn: "Refuse all",
          savePreferencesBtn: "Save",
          closeIconLabel: "Close",
          sections: [
            { title: "Necessary", description: "Keeps your choice.", linkedCategory: "necessary" },
            { title: "Analytics", description: "Measures visits.", linkedCategory: "analytics" },
            { title: "Marketing", description: "Films of others.", linkedCategory: "marketing" },
          ],
        },
      },
    },
  },
});
