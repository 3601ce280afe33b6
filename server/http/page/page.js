// The page: which version is looked at, and who draws what of it. The address after # says which:
// #/MODEL/VERSION/WINDOW.

import { get, hasToken, setToken } from "./api.js";
import { Calibrators } from "./calibrators.js";
import { Charts } from "./charts.js";
import { Connection } from "./connection.js";
import { $, h, setText, show, whenChanged } from "./dom.js";
import { renderWatched } from "./figures.js";
import * as format from "./format.js";
import { addressOf, renderModels, renderNoModel } from "./models.js";

const CALIBRATORS_MS = 10000;
const TOAST_MS = 6000;

let session = { authentication: false, admin: false, version: "" };
let state = null;
let unknown = "";  // why what the address asks for is not shown; the list of models is all the same
let shown = "";  // what the charts and the calibrators are of

function asked() {
  const [, model, version, window] = location.hash.split("/");
  const query = {};
  if (model) query.model = decodeURIComponent(model);
  if (version) query.version = version;
  if (window) query.window = decodeURIComponent(window);
  return query;
}

function toast(text, isError = false) {
  $("toast").className = isError ? "toast shown error" : "toast shown";
  setText($("toast"), text);
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => {
    $("toast").className = "toast";
    setText($("toast"), "");
  }, TOAST_MS);
}

const charts = new Charts();
const calibrators = new Calibrators(() => refreshCalibrators(), toast);
const connection = new Connection(onState, onStatus);

async function refreshCalibrators() {
  clearTimeout(refreshCalibrators.timer);
  try {
    if (state?.watched) await calibrators.refresh(state.watched, session);
  } catch {
    // The stream of events says what is wrong; the next time may do.
  }
  clearTimeout(refreshCalibrators.timer);
  refreshCalibrators.timer = setTimeout(refreshCalibrators, CALIBRATORS_MS);
}

const renderWindows = whenChanged((model, version, windows, chosen) => {
  const focused = $("windows").contains(document.activeElement);
  $("windows").replaceChildren(h("legend", { class: "away" }, "Window"), ...windows.map((window) =>
    h("label", {},
      h("input", { type: "radio", name: "window", value: window, checked: window === chosen,
                   onchange: () => { location.hash = addressOf(model, version, window); } }),
      h("span", {}, format.windowName(window)))));
  if (focused) $("windows").querySelector(":checked").focus();
});

// Whether the server knows by now what it did not.
function isThere({ models, windows }, asks) {
  const model = models.find(({ name }) => name === asks.model);
  return (asks.model === undefined || model !== undefined) &&
    (asks.version === undefined || (model?.versions ?? []).some(({ version }) => `${version}` === asks.version)) &&
    (asks.window === undefined || windows.includes(asks.window));
}

function watch() {
  unknown = "";
  connection.start(asked());
}

function onState(message) {
  if (unknown !== "" && isThere(message, asked())) {
    watch();
    return;
  }
  state = unknown === "" ? message : { ...message, watched: null };
  const { watched } = state;
  const text = message.not_ready !== null ? `Not ready: ${message.not_ready}`
    : message.catching_up ? "Catching up with the log" : "Ready";
  setText($("server"), `${text} · ${session.version}`);
  $("server").className = message.not_ready === null ? "quiet" : "bad";
  const asks = asked();
  renderModels(message.models, watched && { model: watched.model, version: watched.version }, asks.window ?? "");
  show($("content"), watched !== null);
  show($("empty"), watched === null);
  document.body.classList.toggle("no-models", message.models.length === 0);
  if (watched === null) {
    document.title = "calserve";
    renderNoModel(message.models, asks, unknown);
    charts.watch(null);
    shown = "";
    return;
  }
  document.title = `${watched.alarm.raised ? "▲ " : ""}${watched.model} v${watched.version} · calserve`;
  setText($("title"), `${watched.model} · version ${watched.version}`);
  setText($("subtitle"), watched.calibrator === 0 ? "Answers with plain softmax: no calibrator is active"
    : `Calibrated by ${watched.method}, calibrator version ${watched.calibrator}`);
  renderWindows(watched.model, watched.version, message.windows, watched.window);
  renderWatched(watched);
  const now = JSON.stringify([watched.model, watched.version, watched.window]);
  if (now !== shown) {
    shown = now;
    charts.watch({ model: watched.model, version: watched.version, window: watched.window });
    calibrators.calibrator = undefined;
  }
  if (calibrators.calibrator !== watched.calibrator) {
    calibrators.calibrator = watched.calibrator;
    refreshCalibrators();
  }
}

function onStatus({ state: kind, text, countdown, reason }) {
  $("connection").dataset.state = kind;
  setText($("connection").firstElementChild, text);
  $("connection").querySelector("i")?.remove();
  if (countdown !== undefined) $("connection").append(h("i", { "aria-hidden": "true" }, `again in ${countdown} s`));
  const lost = kind === "lost" || kind === "refused";
  document.body.classList.toggle("stale", lost);
  show($("banner"), lost);
  setText($("banner-text"), lost ? reason : "");
  if (kind === "signed-out") askForToken(hasToken() ? reason : "");
  if (kind === "unknown") {
    unknown = reason;
    connection.start({});
  }
}

function renderSession() {
  setText($("session"), !session.authentication ? "Read-only"
    : session.name ? `${session.name}${session.admin ? " · admin" : ""}` : "");
  show($("sign-in"), session.authentication && !hasToken());
  show($("sign-out"), session.authentication && hasToken());
  if (state?.watched) refreshCalibrators();
}

function askForToken(error) {
  if ($("token-dialog").open) return;
  show($("sign-in"), true);
  setText($("token-error"), error);
  $("token").value = "";
  $("token-dialog").returnValue = "";
  $("token-dialog").showModal();
}

// Finds out who we are, then watches.
async function begin() {
  try {
    session = await get("/api/v1/session");
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      session = { authentication: true, admin: false, version: "" };
      onStatus({ state: "signed-out", text: "Not signed in", reason: error.message });
      setText($("empty"), "");
      $("empty").append(h("h2", {}, "Sign in to see"), h("p", {}, "This server asks for a token with the role read."));
      return;
    }
  }
  renderSession();
  watch();
}

$("sign-in").addEventListener("click", () => askForToken(""));
$("sign-out").addEventListener("click", () => location.reload());
$("try-now").addEventListener("click", () => connection.tryNow());
$("token-cancel").addEventListener("click", () => $("token-dialog").close("cancel"));
$("token-dialog").addEventListener("close", () => {
  const token = $("token").value.trim();
  $("token").value = "";
  if ($("token-dialog").returnValue !== "ok" || token === "") return;
  if (!/^[!-~]+$/.test(token)) {
    askForToken("A token is one word of plain characters.");
    return;
  }
  setToken(token);
  begin();
});
addEventListener("hashchange", () => {
  if (location.hash !== "#main") watch();
});
begin();
