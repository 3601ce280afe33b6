// What was, over the last day: points that the server keeps, drawn by dygraphs.

import { get } from "./api.js";
import { $, h, setText, show } from "./dom.js";
import * as format from "./format.js";

const REFRESH_MS = 10000;  // the server adds a point every 10 s
const TABLE_ROWS = 30;
const X_AXIS = { pixelsPerLabel: 76 };

// The legends are ours, and dygraphs' sets a style that the content security policy forbids.
Dygraph.PLUGINS.splice(Dygraph.PLUGINS.indexOf(Dygraph.Plugins.Legend), 1);

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const at = (millis) => new Date(millis);

// The indices where another calibrator became active.
function changesOf(calibrators) {
  const changes = [];
  for (let i = 1; i < calibrators.length; ++i) if (calibrators[i] !== calibrators[i - 1]) changes.push(i);
  return changes;
}

class Chart {
  constructor(id, legendId, labels, inks, options) {
    this.element = $(id);
    this.legend = $(legendId);
    this.labels = labels;
    this.inks = inks;
    this.options = options;
    this.marks = [];
  }

  colours() {
    return { colors: this.inks.map(style), gridLineColor: style("--line"), axisLineColor: style("--line-strong") };
  }

  draw(rows, marks, description) {
    this.marks = marks;
    this.element.setAttribute("aria-label", description);
    show(this.element, rows.length > 0);  // Before it is drawn: dygraphs takes the size that it has.
    if (rows.length === 0) {
      this.clear();
      return;
    }
    if (this.graph !== undefined) {
      this.graph.updateOptions({ file: rows });
      return;
    }
    this.graph = new Dygraph(this.element, rows, {
      labels: this.labels, ...this.colours(), strokeWidth: 1.8, pointSize: 2, drawPoints: rows.length < 2,
      fillAlpha: 0.16, includeZero: true, axisLabelFontSize: 12, gridLineWidth: 1, xRangePad: 6,
      drawIsolatedPoints: true, yRangePad: 16, animatedZooms: false, highlightCircleSize: 3, ...this.options,
      underlayCallback: (canvas, area, graph) => this.drawMarks(canvas, area, graph),
      highlightCallback: (event, x, points) => this.read(x, points),
      unhighlightCallback: () => setText(this.legend, ""),
    });
  }

  drawMarks(canvas, area, graph) {
    canvas.save();
    canvas.strokeStyle = style("--muted");
    canvas.fillStyle = style("--muted");
    canvas.font = "12px system-ui, sans-serif";
    canvas.setLineDash([3, 3]);
    for (const { time, text } of this.marks) {
      const x = Math.round(graph.toDomXCoord(time)) + 0.5;
      if (x < area.x || x > area.x + area.w) continue;
      canvas.beginPath();
      canvas.moveTo(x, area.y);
      canvas.lineTo(x, area.y + area.h);
      canvas.stroke();
      const right = x + 4 + canvas.measureText(text).width < area.x + area.w;
      canvas.textAlign = right ? "left" : "right";
      canvas.fillText(text, x + (right ? 4 : -4), area.y + 12);
    }
    canvas.restore();
  }

  read(x, points) {
    const named = points.map(({ name, yval }) => `${name} ${this.options.readout(yval)}`);
    setText(this.legend, `${format.clock(at(x))}: ${named.join(", ")}`);
  }

  clear() {
    this.graph?.destroy();
    this.graph = undefined;
    setText(this.legend, "");
  }

  recolour() {
    this.graph?.updateOptions(this.colours());
  }
}

const EMPTY = () => ({
  calibration: { time: [], calibrator: [], n: [], ece: [], ece_low: [], ece_high: [], noise: [], uncalibrated: [] },
  traffic: { time: [], requests: [], failures: [], p50: [], p99: [] } });

const DAY_MS = 24 * 3600 * 1000;

function append(columns, more) {
  const drop = columns.time.filter((time) => time < Date.now() - DAY_MS).length;
  for (const name of Object.keys(columns)) columns[name] = [...columns[name].slice(drop), ...more[name]];
}

export class Charts {
  constructor() {
    this.ece = new Chart("ece-chart", "ece-legend", ["Time", "As served", "Softmax", "Noise floor"],
      ["--served", "--uncalibrated", "--noise"], { customBars: true, readout: format.error,
        series: { "Noise floor": { strokePattern: [2, 3] }, Softmax: { strokePattern: [7, 3] } },
        axes: { x: X_AXIS, y: { axisLabelWidth: 44 } } });
    this.rate = new Chart("rate-chart", "rate-legend", ["Time", "requests/s", "failures/s"],
      ["--served", "--bad"], { readout: format.rate, axes: { x: X_AXIS, y: { axisLabelWidth: 44, pixelsPerLabel: 26 } } });
    this.latency = new Chart("latency-chart", "latency-legend", ["Time", "median", "99th"],
      ["--served", "--uncalibrated"], { readout: (value) => `${format.rate(value)} ms`,
        axes: { x: X_AXIS, y: { axisLabelWidth: 44, pixelsPerLabel: 26 } } });
    this.history = EMPTY();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const chart of [this.ece, this.rate, this.latency]) chart.recolour();
    });
  }

  // Of another version or window; null stops.
  watch(query) {
    clearTimeout(this.timer);
    this.query = query;
    this.history = EMPTY();
    if (query !== null) this.refresh(query);
  }

  async refresh(query) {
    const times = [...this.history.calibration.time, ...this.history.traffic.time];
    const since = times.length === 0 ? 0 : Math.max(...times);
    try {
      const more = await get("/api/v1/history", { ...query, since });
      if (query !== this.query) return;
      append(this.history.calibration, more.calibration);
      append(this.history.traffic, more.traffic);
      this.draw();
    } catch {
      // The stream of events says that the server is not there.
    }
    if (query === this.query) this.timer = setTimeout(() => this.refresh(query), REFRESH_MS);
  }

  draw() {
    this.drawEce(this.history.calibration);
    this.drawTraffic(this.history.traffic);
  }

  drawEce({ time, calibrator, n, ece, ece_low, ece_high, noise, uncalibrated }) {
    const line = (value) => [value, value, value];
    const rows = time.map((t, i) =>
      [at(t), [ece_low[i] ?? ece[i], ece[i], ece_high[i] ?? ece[i]], line(uncalibrated[i]), line(noise[i])]);
    const known = ece.filter((value) => value !== null);
    const marks = changesOf(calibrator).map((i) => ({
      time: time[i], text: calibrator[i] === 0 ? "plain softmax" : `calibrator ${calibrator[i]}` }));
    this.ece.draw(known.length === 0 ? [] : rows, marks, known.length === 0 ? "No ECE yet" :
      `ECE since ${format.time(time[0])}: now ${format.error(known.at(-1))}, ` +
      `lowest ${format.error(Math.min(...known))}, highest ${format.error(Math.max(...known))}`);
    setText($("ece-wait"), known.length === 0
      ? "A point every 10 s, for the last day or since the server started. The first comes with the first labels." : "");
    const step = Math.max(1, Math.ceil(time.length / TABLE_ROWS));
    const chosen = time.map((_, i) => i).filter((i) => (time.length - 1 - i) % step === 0);
    $("ece-table").replaceChildren(h("table", {},
      h("caption", { class: "away" }, "ECE over time"),
      h("thead", {}, h("tr", {}, ["Time", "Calibrator", "Labels", "ECE", "95 % interval", "Softmax", "Noise floor"].map(
        (head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, chosen.reverse().map((i) => h("tr", {},
        h("th", { scope: "row" }, at(time[i]).toLocaleString([], { dateStyle: "short", timeStyle: "medium" })),
        [calibrator[i] === 0 ? "softmax" : calibrator[i], format.count(n[i]), format.error(ece[i]),
          format.interval(ece_low[i], ece_high[i]), format.error(uncalibrated[i]), format.error(noise[i])].map(
          (cell) => h("td", {}, String(cell))))))));
  }

  drawTraffic({ time, requests, failures, p50, p99 }) {
    const millis = (seconds) => (seconds === null ? null : 1000 * seconds);
    const peak = Math.max(0, ...requests);
    this.rate.draw(time.map((t, i) => [at(t), requests[i], failures[i]]), [],
      `Requests a second: now ${format.rate(requests.at(-1))}, at most ${format.rate(peak)}`);
    const answered = p50.some((value) => value !== null);
    this.latency.draw(answered ? time.map((t, i) => [at(t), millis(p50[i]), millis(p99[i])]) : [], [],
      answered ? `Latency: median now ${format.duration(p50.at(-1))}, 99th percentile ${format.duration(p99.at(-1))}`
               : "No request was answered yet");
  }
}
