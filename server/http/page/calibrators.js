// The calibrators that a version has had, their fits, and for an admin: activate and roll back.

import { get, post } from "./api.js";
import { $, h, replaceKeepingFocus, setText, whenChanged } from "./dom.js";
import * as format from "./format.js";

const SOFTMAX = { version: 0, method: "plain softmax", origin: "", created: null, activated: null, fit: null,
                  parameters: [], digest: "" };

const nameOf = (calibrator) =>
  calibrator.version === 0 ? "Plain softmax" : `Version ${calibrator.version} · ${calibrator.method}`;

// Asks in a dialog; resolves with whether it was agreed to.
function confirmed(title, text, action) {
  const dialog = $("confirm");
  setText($("confirm-title"), title);
  setText($("confirm-text"), text);
  setText($("confirm-ok"), action);
  dialog.returnValue = "cancel";
  dialog.showModal();
  $("confirm-cancel").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

function pair(name, before, after, format_) {
  return h("div", {}, h("dt", {}, name),
    h("dd", {}, `${format_(before)} → `, h("b", {}, format_(after))));
}

function reportOf(calibrator) {
  const { fit, parameters } = calibrator;
  const item = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const items = parameters.map(({ name, values }) => item(name,
    values.length > 12 ? `${values.slice(0, 12).map((v) => v.toPrecision(4)).join(", ")}, … (${values.length})`
                       : values.map((v) => v.toPrecision(4)).join(", ")));
  if (fit !== null) {
    items.push(item("Labels", format.count(fit.n)),
      item("Judged", fit.folds > 0 ? `on ${fit.folds} folds left out in turn`
                     : fit.holdout > 0 ? `on ${format.percent(fit.holdout)} left out` : "on the labels of the fit"),
      pair("Accuracy", fit.before.accuracy, fit.after.accuracy, format.percent),
      item("Predictions changed", format.percent(fit.changed_predictions)),
      item("Converged", `${fit.converged ? "yes" : "no"}, ${fit.iterations} iterations`));
    if (fit.at_bound) items.push(item("Note", "a parameter stopped at its bound: the labels do not determine it"));
    if (fit.selected_optimistic) items.push(item("Note", "the method was chosen by these labels: a little optimistic"));
  }
  items.push(item("Digest", h("code", {}, calibrator.digest.slice(0, 16))));
  return h("dl", { class: "report" }, items);
}

export class Calibrators {
  // onChanged: called after a change was made; toast: says something in passing.
  constructor(onChanged, toast) {
    this.onChanged = onChanged;
    this.toast = toast;
    this.watched = null;
    this.all = [];
    this.render = whenChanged((watched, all, admin, open) => this.renderList(watched, all, admin, open));
    this.open = new Set();
  }

  async refresh(watched, session) {
    this.session = session;
    this.watched = { model: watched.model, version: watched.version, calibrator: watched.calibrator };
    const asked = this.watched;
    const { calibrators } = await get("/api/v1/calibrators", { model: asked.model, version: asked.version });
    if (asked !== this.watched) return;  // Another version is looked at by now.
    this.all = calibrators;
    this.update();
  }

  update() {
    this.render(this.watched, this.all, this.session.admin, [...this.open]);
  }

  renderList(watched, all, admin) {
    setText($("calibrators-note"), all.length === 0
      ? "None was fitted yet: probabilities are plain softmax. With a few hundred labels: calserve fit " +
        `--model ${watched.model} --method auto`
      : admin ? "Another calibrator answers the next prediction; its windows begin empty."
              : this.session.authentication ? "Activating needs a token with the role admin."
                                            : "Read-only: changing needs access control to be configured.");
    replaceKeepingFocus($("calibrators"), [...all, SOFTMAX].map((calibrator) => this.item(watched, calibrator, admin)));
  }

  item(watched, calibrator, admin) {
    const active = calibrator.version === watched.calibrator;
    const fit = calibrator.fit;
    const judged = fit === null ? null : fit.cross_validated ?? fit.after;
    const id = `calibrator-${calibrator.version}`;
    const report = h("details", { open: this.open.has(calibrator.version) },
      h("summary", { id: `${id}-report` }, fit === null ? "Parameters" : "Fit report",
        h("span", { class: "away" }, ` of ${nameOf(calibrator)}`)), reportOf(calibrator));
    report.addEventListener("toggle", () =>
      report.open ? this.open.add(calibrator.version) : this.open.delete(calibrator.version));
    return h("li", { class: active ? "calibrator active" : "calibrator" },
      h("div", { class: "calibrator-head" },
        h("b", {}, nameOf(calibrator)),
        active ? h("span", { class: "chip good" }, "● active")
               : calibrator.version === 0 ? null : h("span", { class: "chip" }, calibrator.state.toLowerCase()),
        calibrator.origin === "shipped" ? h("span", { class: "chip" }, "shipped with the model") : null),
      h("div", {}, calibrator.version === 0
        ? h("p", { class: "quiet" }, "What the model itself says; always there to go back to.")
        : h("dl", { class: "calibrator-figures" },
            fit === null ? null : pair("ECE", fit.before.ece, judged.ece, format.error),
            fit === null ? null : pair("NLL", fit.before.nll, judged.nll, format.error),
            fit === null ? null : h("div", {}, h("dt", {}, "Labels"), h("dd", {}, format.count(fit.n))),
            h("div", {}, h("dt", {}, "Made"), h("dd", {}, format.time(calibrator.created))),
            h("div", {}, h("dt", {}, "Activated"), h("dd", {}, format.time(calibrator.activated)))),
        calibrator.version === 0 ? null : report),
      !admin ? null : h("div", { class: "buttons" }, active
        ? h("button", { id: `${id}-rollback`, type: "button", onclick: () => this.rollBack() },
            "Roll back", h("span", { class: "away" }, ` ${nameOf(calibrator)}`))
        : h("button", { id: `${id}-activate`, type: "button", onclick: () => this.activate(calibrator) },
            "Activate", h("span", { class: "away" }, ` ${nameOf(calibrator)}`))));
  }

  activeName() {
    return nameOf(this.all.find(({ version }) => version === this.watched.calibrator) ?? SOFTMAX);
  }

  async activate(calibrator) {
    const { model, version, calibrator: expected } = this.watched;
    const agreed = await confirmed(`Activate ${nameOf(calibrator)}?`,
      `It replaces ${this.activeName()} for every prediction of ${model} version ${version} from now on.`, "Activate");
    if (agreed) {
      await this.change("/api/v1/activate", { model, version, calibrator: calibrator.version, expected },
        `${nameOf(calibrator)} is active.`);
    }
  }

  async rollBack() {
    const { model, version, calibrator: expected } = this.watched;
    const agreed = await confirmed(`Roll back ${this.activeName()}?`,
      `What was active before it answers every prediction of ${model} version ${version} from now on.`, "Roll back");
    if (agreed) await this.change("/api/v1/rollback", { model, version, expected }, "Rolled back.");
  }

  async change(path, query, done) {
    try {
      await post(path, query);
      this.toast(done);
    } catch (error) {
      this.toast(`Not done: ${error.message}`, true);
    }
    this.onChanged();
  }
}
