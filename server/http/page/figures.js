// What the watched window says, in words and figures.

import { $, h, s, setText, show, whenChanged } from "./dom.js";
import { drawDiagram } from "./diagram.js";
import * as format from "./format.js";

// 0 is in the interval of the ECE exactly where the labels do not tell the model from a calibrated one.
const isMiscalibrated = (side) => side.ece_low !== null && side.ece_low > 0;
const gap = (side) => side.mean_confidence - side.accuracy;

function verdictOf(side, window) {
  const says = `Says ${format.percent(side.mean_confidence)}, is right ${format.percent(side.accuracy)}`;
  const ece = `ECE ${format.error(side.ece)} (95 % interval ${format.interval(side.ece_low, side.ece_high)})`;
  const labels = `${format.count(side.n)} labels (${format.windowName(window)})`;
  if (!isMiscalibrated(side)) {
    return [`${says}: no miscalibration shows in these labels`,
      `${ece} is what ${labels} of a calibrated model may show; chance alone gives about ` +
      `${format.error(side.noise_floor)}.`];
  }
  const off = Math.abs(gap(side));
  const kind = off < 0.25 * side.ece ? "off in both directions" : gap(side) > 0 ? "overconfident" : "underconfident";
  return [`${says}: ${kind}`,
    `${ece} on ${labels} is more than chance, which gives about ${format.error(side.noise_floor)}.`];
}

function tile(term, value, note) {
  return h("div", {}, h("dt", {}, term), h("dd", {}, value, note === undefined ? null : h("small", {}, note)));
}

function renderTiles({ served, uncalibrated }) {
  const was = (text) => `softmax ${text}`;
  $("tiles").replaceChildren(
    tile("ECE", format.figure("tile-ece", served.ece, format.error), was(format.error(uncalibrated.ece))),
    tile("Confidence gap",
      h("span", {}, format.figure("tile-gap", gap(served), format.points), h("span", { class: "unit" }, " pts")),
      was(format.points(gap(uncalibrated)))),
    tile("Accuracy", format.figure("tile-accuracy", served.accuracy, format.percent),
      was(format.percent(uncalibrated.accuracy))),
    tile("NLL", format.figure("tile-nll", served.nll, format.error),
      was(format.error(uncalibrated.nll))),
    tile("Labels", format.figure("tile-n", served.n, format.count), "in the window"));
}

const ROWS = [
  ["ECE", "ece", format.error], ["95 % interval, from", "ece_low", format.error],
  ["to", "ece_high", format.error], ["Noise floor", "noise_floor", format.error],
  ["Largest gap of a bin (MCE)", "mce", format.error], ["Mean confidence", "mean_confidence", format.percent],
  ["Accuracy", "accuracy", format.percent], ["Negative log-likelihood", "nll", format.error],
  ["Brier score", "brier", format.error], ["Labels", "n", format.count],
];

function renderFigures({ served, uncalibrated }) {
  const row = ([name, key, as]) => h("tr", {}, h("th", { scope: "row" }, name),
    h("td", {}, format.figure(`served-${key}`, served[key], as)),
    h("td", {}, format.figure(`uncalibrated-${key}`, uncalibrated[key], as)));
  $("figures").replaceChildren(h("table", {},
    h("caption", { class: "away" }, "Figures of the window"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "away" }, "Figure")),
      h("th", { scope: "col", class: "served" }, "As served"),
      h("th", { scope: "col", class: "uncalibrated" }, "Softmax"))),
    h("tbody", {}, ROWS.map(row))));
}

function renderBins({ served, uncalibrated }) {
  const cells = (side, key, i) => {
    const bin = side.bins[i];
    const of = (what) => `${key}-bin-${i}-${what}`;
    if (bin.count === 0) return [h("td", {}, format.figure(of("count"), 0, format.count)), h("td", { colspan: 3 })];
    return [h("td", {}, format.figure(of("count"), bin.count, format.count)),
      h("td", {}, format.figure(of("confidence"), bin.confidence, format.percent)),
      h("td", {}, format.figure(of("accuracy"), bin.accuracy, format.percent)),
      h("td", {}, `${format.percent(bin.accuracy_low)} to ${format.percent(bin.accuracy_high)}`)];
  };
  const heads = ["Labels", "Confidence", "Right", "95 % interval"];
  $("bins").replaceChildren(h("table", { class: "bins" },
    h("caption", { class: "away" }, "Bins of the reliability diagrams"),
    h("thead", {},
      h("tr", {}, h("th", { rowspan: 2, scope: "col" }, "Bin"),
        h("th", { colspan: 4, scope: "colgroup", class: "served" }, "As served"),
        h("th", { colspan: 4, scope: "colgroup", class: "uncalibrated" }, "Softmax")),
      h("tr", {}, [...heads, ...heads].map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, served.bins.map((bin, i) => h("tr", {},
      h("th", { scope: "row" }, `${bin.lower.toFixed(2)} to ${bin.upper.toFixed(2)}`),
      cells(served, "served", i), cells(uncalibrated, "uncalibrated", i))))));
}

function renderNoLabels(watched) {
  const code = (text) => h("pre", {}, h("code", {}, text));
  $("no-labels").replaceChildren(
    h("h3", {}, "No label in this window yet"),
    h("p", {}, watched.issued === 0
      ? "Nothing was predicted with this calibrator since the server started. "
      : `${format.count(watched.issued)} predictions were issued since the server started, ` +
        `${format.count(watched.labelled)} of them are labelled. `,
      "Every prediction comes with a ticket. Send it back with the true label when you know it:"),
    code("calserve feedback --ticket TICKET --label NAME"),
    h("p", {}, "Or predict and label a list of images that you have the truth of:"),
    code(`calserve evaluate --model ${watched.model} IMAGES.csv`),
    h("p", { class: "quiet" }, "The diagram appears here with the first label."));
}

function evidenceBar(name, value, threshold) {
  // On a logarithmic scale from 1 to the threshold.
  const share = Math.min(1, Math.max(0, Math.log(Math.max(1, value)) / Math.log(threshold)));
  return h("div", {}, h("dt", {}, name),
    h("dd", {}, h("span", { class: "evidence-value" }, `${format.eValue(value)} of ${format.eValue(threshold)}`),
      s("svg", { class: "meter", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
        s("rect", { class: "meter-room", width: 100, height: 6 }),
        s("rect", { class: share >= 1 ? "meter-full" : "meter-fill", width: 100 * share, height: 6 }))));
}

function renderAlarm({ alarm }) {
  const state = $("alarm-state");
  state.className = `state-line ${alarm.raised ? "bad" : "good"}`;
  setText(state, alarm.raised ? `▲ Raised: ${alarm.direction}` : "● Quiet");
  setText($("alarm-text"), alarm.raised
    ? `Raised at label ${format.count(alarm.since_position)}, ${format.time(alarm.since)}; it most likely began at ` +
      `label ${format.count(alarm.change_position)}, ${format.time(alarm.change)}. It stays until another calibrator ` +
      "is active or it is acknowledged."
    : `No sign so far that confidence and accuracy differ by more than ${format.points(alarm.tolerance).slice(1)} ` +
      `points in the mean, over ${format.count(alarm.labels)} labels. A false alarm in the calibrator's whole life: ` +
      `at most ${format.percent(alarm.alpha)}.`);
  $("evidence").replaceChildren(
    evidenceBar("Evidence for overconfident", alarm.e_overconfident, alarm.threshold),
    evidenceBar("Evidence for underconfident", alarm.e_underconfident, alarm.threshold));
  show($("alarm-banner"), alarm.raised);
  setText($("alarm-banner"), alarm.raised
    ? `▲ Alarm: ${alarm.direction} since label ${format.count(alarm.since_position)}. ` +
      "Fit a calibrator to labels after the change, or roll back." : "");
}

function renderLabels({ issued, labelled, selective }) {
  $("labels").replaceChildren(
    tile("Predictions", format.figure("issued", issued, format.count)),
    tile("Labelled", format.figure("labelled", labelled, format.count),
      issued > 0 ? `${format.percent(labelled / issued)} of them` : undefined));
  setText($("labels-text"), selective
    ? "▲ Selective: the labelled predictions are not as confident as all of them. What the labels say holds for the " +
      "labelled ones only."
    : "With this calibrator, since the server started.");
  $("labels-text").className = selective ? "bad" : "quiet";
}

function renderTraffic({ traffic }) {
  $("traffic").replaceChildren(
    tile("Requests/s", format.figure("rate", traffic.requests, format.rate), "last 10 s"),
    tile("Median", format.figure("p50", traffic.p50, format.duration), "inside the server"),
    tile("99th percentile", format.figure("p99", traffic.p99, format.duration)),
    tile("Failures/s", format.figure("failures", traffic.failures, format.rate)),
    tile("Rows a batch", format.figure("batch", traffic.mean_batch, format.rate)),
    tile("Instances busy", `${traffic.busy_instances} of ${traffic.instances}`,
      `${format.count(traffic.queued_rows)} rows wait`));
}

const drawing = whenChanged((watched) => {
  drawDiagram($("served-diagram"), watched.served, "as served");
  drawDiagram($("uncalibrated-diagram"), watched.uncalibrated, "plain softmax");
  renderTiles(watched);
  renderFigures(watched);
  renderBins(watched);
  const [verdict, why] = verdictOf(watched.served, watched.window);
  setText($("verdict"), verdict);
  setText($("verdict-why"), watched.truncated
    ? `${why} The window holds fewer labels than it should, to stay within window_max_labels.` : why);
});
const renderNothing = whenChanged(renderNoLabels);
const alarm = whenChanged(renderAlarm);
const labels = whenChanged(renderLabels);
const traffic = whenChanged(renderTraffic);

export function renderWatched(watched) {
  const any = watched.served.n > 0;
  for (const section of [$("reliability"), $("verdict").parentElement]) show(section, any);
  show($("no-labels"), !any);
  const { model, version, window, served, uncalibrated, truncated, issued, labelled, selective } = watched;
  if (any) drawing({ model, version, window, served, uncalibrated, truncated });
  else renderNothing({ model, issued, labelled });
  alarm({ alarm: watched.alarm });
  labels({ issued, labelled, selective });
  traffic({ traffic: watched.traffic });
}
