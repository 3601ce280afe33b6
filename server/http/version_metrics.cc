#include "server/http/version_metrics.h"

#include "absl/strings/str_cat.h"

namespace calserve {

void AddVersionStates(MetricFamilies& families, const std::vector<VersionStateValues>& versions) {
  prometheus::MetricFamily& states =
      AddGauge(families, "calserve_model_version_state",
               "Always 1, for each version that is wanted or loaded; its state is a label, and whether its "
               "newest files are at fault, which of a READY one do not serve. version is empty where the "
               "model's directory is at fault as a whole");
  for (const VersionStateValues& of : versions) {
    const bool loaded = of.state != "FAILED" && of.state != "UNAVAILABLE";
    if (!of.wanted && !loaded) continue;
    // What goes because it is not wanted any more may be broken.
    const bool failed = of.failed && (of.wanted || of.state == "READY");
    Put(states,
        {Label("model", of.model), Label("version", of.version.has_value() ? absl::StrCat(*of.version) : ""),
         Label("state", of.state), Label("failed", failed ? "true" : "false")},
        1);
  }
}

}  // namespace calserve
