// The one script of a page. Each line is a part of the product; what they share is in `core/`.
import "./core/api.js";
import "./banner/banner.js";
import "./gates/scripts.js";
import "./gates/frames.js";
import "./measure/measure.js";
import "./core/tabs.js";
