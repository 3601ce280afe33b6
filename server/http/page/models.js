// The list of models and their versions, which is also how another one is looked at.

import { $, h, replaceKeepingFocus, whenChanged } from "./dom.js";
import * as format from "./format.js";

export const addressOf = (model, version, window) =>
  `#/${encodeURIComponent(model)}/${version}/${encodeURIComponent(window ?? "")}`;

const STATES = {
  READY: ["●", "good", "Ready"], LOADING: ["◌", "quiet", "Loading"], UNLOADING: ["◌", "quiet", "Unloading"],
  UNAVAILABLE: ["○", "quiet", "Not loaded"], FAILED: ["▲", "bad", "Failed"],
};

function stateOf(state) {
  const [mark, kind, name] = STATES[state] ?? ["?", "quiet", state];
  return h("span", { class: `state ${kind}` }, h("span", { "aria-hidden": "true" }, `${mark} `), name);
}

function versionItem(model, version, watched, window) {
  const chips = [
    version.version === model.default_version && model.versions.length > 1 ? h("span", { class: "chip" }, "default") : null,
    ...version.labels.map((label) => h("span", { class: "chip" }, label)),
    version.alarm?.raised ? h("span", { class: "chip bad" }, `▲ ${version.alarm.direction}`) : null,
  ];
  const reason = version.reason === "" ? null : h("p", { class: "reason" }, version.reason);
  if (version.state !== "READY") {
    return h("li", { class: "version" }, h("div", { class: "version-line" },
      h("span", { class: "version-name" }, `Version ${version.version}`), stateOf(version.state), ...chips), reason);
  }
  const here = watched !== null && watched.model === model.name && watched.version === version.version;
  return h("li", { class: "version" },
    h("a", { id: `version-${model.name}-${version.version}`, href: addressOf(model.name, version.version, window),
             "aria-current": here ? "page" : null },
      h("span", { class: "version-line" },
        h("span", { class: "version-name" }, `Version ${version.version}`), stateOf(version.state), ...chips),
      h("span", { class: "version-figures" },
        h("span", {}, "ECE ", version.ece === null ? "–" : format.error(version.ece)),
        h("span", {}, `${format.rate(version.traffic.requests)} requests/s`),
        h("span", {}, version.calibrator === 0 ? "plain softmax" : `${version.method} v${version.calibrator}`))),
    reason);
}

export const renderModels = whenChanged((models, watched, window) => {
  replaceKeepingFocus($("models"), [
    h("h2", {}, "Models"),
    ...models.map((model) => h("section", { "aria-label": model.name },
      h("h3", {}, model.name),
      model.reason === "" ? null : h("p", { class: "reason" }, model.reason),
      h("ul", {}, model.versions.map((version) => versionItem(model, version, watched, window))))),
  ]);
});

// What is to be done where nothing serves.
export const renderNoModel = whenChanged((models, asked, unknown) => {
  const failed = models.flatMap((model) => model.versions.filter((version) => version.state === "FAILED"));
  const code = (text) => h("pre", {}, h("code", {}, text));
  let content;
  const choose = models.length > 0 ? "Choose a version from the list." : "The server has no model at all.";
  if (unknown !== "") {
    content = [h("h2", {}, "Not found"), h("p", {}, `The address of this page asks for something else: ${unknown}. ${choose}`)];
  } else if (asked.model !== undefined) {
    const what = asked.version ? `Version ${asked.version} of ${asked.model}` : asked.model;
    content = [h("h2", {}, "Not served"), h("p", {}, `${what} is known, but not served now. ${choose}`)];
  } else if (models.length > 0) {
    content = [h("h2", {}, failed.length > 0 ? "No version could be loaded" : "No version is loaded"),
      h("p", {}, "The list says why. The server looks again when the files change (with repository.control: poll), or " +
        "when it is started again.")];
  } else {
    content = [h("h2", {}, "No model yet"),
      h("p", {}, "A model is a directory in the server's model repository:"),
      code("NAME/model.yaml         input size, transform, mean, std\n" +
           "NAME/labels.txt         one class name a line\n" +
           "NAME/1/model.pt2        the exported model, or model.pt"),
      h("p", {}, "tools/export_model.py makes one of a PyTorch classifier. Start the server on it:"),
      code("calserve-server --model-repository DIRECTORY"),
      h("p", { class: "quiet" }, "With repository.control: poll it is served as soon as it is there.")];
  }
  $("empty").replaceChildren(...content);
});
