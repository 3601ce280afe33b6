// The reliability diagram: accuracy over confidence with an interval for each bin, and below it the labels a bin.

import { s } from "./dom.js";
import * as format from "./format.js";

// In units of the viewBox, 340 × 400.
const LEFT = 46, TOP = 10, SIDE = 280;
const COUNTS_TOP = TOP + SIDE + 24, COUNTS = 44;
const BOTTOM = COUNTS_TOP + COUNTS;

const x = (share) => LEFT + SIDE * share;
const y = (share) => TOP + SIDE * (1 - share);
const text = (at, down, anchor, content, attributes = {}) =>
  s("text", { x: at, y: down, "text-anchor": anchor, ...attributes }, content);

function axes() {
  const parts = [];
  for (const share of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    parts.push(s("line", { class: "grid", x1: x(share), x2: x(share), y1: y(0), y2: y(1) }));
    parts.push(s("line", { class: "grid", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }));
    parts.push(text(x(share), BOTTOM + 15, "middle", share.toFixed(1)));
    parts.push(text(x(0) - 7, y(share) + 4, "end", share.toFixed(1)));
  }
  parts.push(text(x(0.5), BOTTOM + 32, "middle", "confidence", { class: "axis" }));
  parts.push(text(0, 0, "middle", "share that is right",
                  { class: "axis", transform: `translate(12 ${y(0.5)}) rotate(-90)` }));
  parts.push(s("line", { class: "diagonal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  return parts;
}

const missesDiagonal = (bin) => bin.accuracy_low > bin.confidence || bin.accuracy_high < bin.confidence;

export function binTitle(bin) {
  return `Confidence ${bin.lower.toFixed(2)} to ${bin.upper.toFixed(2)}: ${format.count(bin.count)} labels, ` +
    `mean confidence ${format.percent(bin.confidence)}, ${format.percent(bin.accuracy)} right ` +
    `(95 % interval ${format.percent(bin.accuracy_low)} to ${format.percent(bin.accuracy_high)})`;
}

function binMarks(bin, largest) {
  const left = x(bin.lower) + 1, width = x(bin.upper) - x(bin.lower) - 2;
  const middle = x(bin.confidence);
  const height = Math.max(1, COUNTS * bin.count / largest);
  return s("g", { class: "bin" },
    s("title", {}, binTitle(bin)),
    s("rect", { class: "bar", x: left, y: y(bin.accuracy), width, height: Math.max(0, y(0) - y(bin.accuracy)) }),
    s("line", { class: "gap", x1: middle, x2: middle, y1: y(bin.confidence), y2: y(bin.accuracy) }),
    s("line", { class: "whisker", x1: middle, x2: middle, y1: y(bin.accuracy_low), y2: y(bin.accuracy_high) }),
    ...[bin.accuracy_low, bin.accuracy_high].map((end) =>
      s("line", { class: "whisker", x1: middle - 3, x2: middle + 3, y1: y(end), y2: y(end) })),
    s("circle", { class: missesDiagonal(bin) ? "point misses" : "point", cx: middle, cy: y(bin.accuracy), r: 4 }),
    s("rect", { class: "count", x: left, y: BOTTOM - height, width, height }),
    s("rect", { class: "touch", x: x(bin.lower), y: TOP, width: x(bin.upper) - x(bin.lower), height: BOTTOM - TOP }));
}

export function drawDiagram(svg, side, name) {
  const bins = side.bins.filter((bin) => bin.count > 0);
  const largest = Math.max(1, ...bins.map((bin) => bin.count));
  const off = bins.filter(missesDiagonal).length;
  svg.setAttribute("aria-label",
    `Reliability diagram, ${name}: ${format.count(side.n)} labels in ${bins.length} of ${side.bins.length} bins; ` +
    `in ${off} the interval misses the diagonal. ECE ${format.error(side.ece)}.`);
  svg.replaceChildren(...axes(),
    s("line", { class: "base", x1: x(0), x2: x(1), y1: BOTTOM, y2: BOTTOM }),
    text(x(0) - 7, COUNTS_TOP + 8, "end", format.count(largest)),
    text(x(0) - 7, BOTTOM, "end", "0"),
    text(x(0), COUNTS_TOP - 7, "start", "labels a bin", { class: "axis" }),
    ...bins.map((bin) => binMarks(bin, largest)));
}
