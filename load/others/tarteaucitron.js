// As its documentation does, with two services; its own links and third parties' modes are off.
tarteaucitron.init({
  privacyUrl: "/privacy",
  orientation: "bottom",
  showIcon: true,
  DenyAllCta: true,
  AcceptAllCta: true,
  highPrivacy: true,
  removeCredit: true,
  googleConsentMode: false,
  bingConsentMode: false,
  pianoConsentMode: false,
});
(tarteaucitron.job = tarteaucitron.job || []).push("youtube", "vimeo");
