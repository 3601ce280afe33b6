// Figures as text. "–" stands for what is not known.

import { h } from "./dom.js";

const NONE = "–";
const counts = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const rates = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

export const error = (value) => (known(value) ? value.toFixed(4) : NONE);
export const percent = (value) => (known(value) ? `${(100 * value).toFixed(1)}\u00a0%` : NONE);
export const count = (value) => (known(value) ? counts.format(value) : NONE);
export const rate = (value) => (known(value) ? rates.format(value) : NONE);

export function points(value) {
  if (!known(value)) return NONE;
  const text = (100 * Math.abs(value)).toFixed(1);
  return `${text === "0.0" ? "" : value > 0 ? "+" : "−"}${text}`;
}

export function interval(low, high) {
  return known(low) && known(high) ? `${low.toFixed(4)} to ${high.toFixed(4)}` : NONE;
}

export function duration(seconds) {
  if (!known(seconds)) return NONE;
  if (seconds < 0.001) return `${rates.format(1e6 * seconds)}\u00a0µs`;
  return seconds < 1 ? `${rates.format(1e3 * seconds)}\u00a0ms` : `${rates.format(seconds)}\u00a0s`;
}

export function eValue(value) {
  if (!known(value)) return NONE;
  if (value >= 1e6) {
    const [digits, exponent] = value.toExponential(1).split("e+");
    return `${digits} × 10${[...exponent].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
  }
  return value >= 100 ? counts.format(value) : value.toPrecision(2);
}

export function time(millis) {
  if (!known(millis)) return NONE;
  return new Date(millis).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export const clock = (date) => date.toLocaleTimeString([], { timeStyle: "medium" });

// "last_1000" -> "last 1,000", "last_1h" -> "last 1 h", "decay_1h" -> "decay 1 h".
export function windowName(name) {
  const [, kind, span, unit] = /^([a-z]+)_(\d+)([a-z]*)$/.exec(name) ?? [];
  if (kind === undefined) return name;
  return `${kind} ${count(Number(span))}${unit === "" ? "" : ` ${unit}`}`;
}

// A figure as it is shown, with what it is exactly.
export function figure(id, value, format) {
  return h("data", { id, value: known(value) ? String(value) : "" }, format(value));
}
