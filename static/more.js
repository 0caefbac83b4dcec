// The second, optional script: `<script src="/_cg/more.js" defer></script>` behind the first one's tag. It stands on `window.cg`
// alone, so what may be sent, and when, is decided in one place.
import "./extras/timings.js";
import "./extras/clicks.js";
