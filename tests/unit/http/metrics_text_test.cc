#include "server/http/metrics_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ServerValues OneModel() {
  ModelValues model;
  model.model = "shoes";
  model.version = 3;
  model.requests = {{Rpc::kPredict, absl::StatusCode::kOk, 7},
                    {Rpc::kModelInfer, absl::StatusCode::kInvalidArgument, 2}};
  model.rows = 11;
  model.time = {0.125, 0.25, 0.5, 1, 2, 4};
  model.queue = model.decode = model.compute = model.calibrate = model.respond = {{0.5, 1}, {0, 0, 0}, 0};
  model.total = {{0.5, 1}, {4, 2, 1}, 9.5};
  model.batch_rows = {{1, 2}, {5, 3, 0}, 11};
  model.batch_seconds = 1.5;
  model.turn_wait_seconds = 0.75;
  model.refused = 1;
  model.expired = 2;
  model.cancelled = 3;
  model.failed = 4;
  model.queued_rows = 5;
  model.queued_bytes = 600;
  model.instances = 2;
  model.busy_instances = 1;
  model.longest_run_seconds = 2.5;
  ServerValues values;
  values.models = {model};
  return values;
}

std::string Text(const ServerValues& values, bool ready = true) {
  ProcessStats process;
  process.cpu_seconds = 12.5;
  process.thread_cpu_seconds = {{"decode", 2.5}, {"grpc", 10}};
  process.resident_bytes = 4096;
  return MetricsText(values, ready, process);
}

// Every line of a family: its HELP, its TYPE and its series.
std::string Family(const std::string& text, const std::string& name) {
  std::string lines;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const bool is_series =
        line.substr(0, name.size()) == name &&
        (line.substr(name.size(), 1) == "{" || line.substr(name.size(), 1) == " " ||
         line.substr(name.size(), 7) == "_count{" || line.substr(name.size(), 5) == "_sum{" ||
         line.substr(name.size(), 8) == "_bucket{");
    const bool is_about = line.substr(0, 7 + name.size() + 1) == absl::StrCat("# TYPE ", name, " ");
    if (is_series || is_about) absl::StrAppend(&lines, line, "\n");
  }
  return lines;
}

TEST(MetricsTextTest, ShowsRequestsByModelVersionCallAndCode) {
  ServerValues values = OneModel();
  values.unserved_requests = {{Rpc::kStreamPredict, absl::StatusCode::kNotFound, 50}};
  EXPECT_EQ(Family(Text(values), "calserve_requests_total"),
            "# TYPE calserve_requests_total counter\n"
            "calserve_requests_total{model=\"shoes\",version=\"3\",rpc=\"Predict\",code=\"OK\"} 7\n"
            "calserve_requests_total{model=\"shoes\",version=\"3\",rpc=\"ModelInfer\",code=\"INVALID_"
            "ARGUMENT\"} 2\n"
            "calserve_requests_total{model=\"\",version=\"\",rpc=\"StreamPredict\",code=\"NOT_FOUND\"} 50\n");
}

TEST(MetricsTextTest, SplitsTheTimeOfRequests) {
  EXPECT_EQ(Family(Text(OneModel()), "calserve_request_time_seconds_total"),
            "# TYPE calserve_request_time_seconds_total counter\n"
            "calserve_request_time_seconds_total{model=\"shoes\",version=\"3\",part=\"receive\"} 0.125\n"
            "calserve_request_time_seconds_total{model=\"shoes\",version=\"3\",part=\"queue\"} 0.25\n"
            "calserve_request_time_seconds_total{model=\"shoes\",version=\"3\",part=\"decode\"} 0.5\n"
            "calserve_request_time_seconds_total{model=\"shoes\",version=\"3\",part=\"compute\"} 1\n"
            "calserve_request_time_seconds_total{model=\"shoes\",version=\"3\",part=\"calibrate\"} 2\n"
            "calserve_request_time_seconds_total{model=\"shoes\",version=\"3\",part=\"respond\"} 4\n");
}

TEST(MetricsTextTest, HistogramsAreCumulative) {
  EXPECT_EQ(Family(Text(OneModel()), "calserve_request_duration_seconds"),
            "# TYPE calserve_request_duration_seconds histogram\n"
            "calserve_request_duration_seconds_count{model=\"shoes\",version=\"3\"} 7\n"
            "calserve_request_duration_seconds_sum{model=\"shoes\",version=\"3\"} 9.5\n"
            "calserve_request_duration_seconds_bucket{model=\"shoes\",version=\"3\",le=\"0.5\"} 4\n"
            "calserve_request_duration_seconds_bucket{model=\"shoes\",version=\"3\",le=\"1\"} 6\n"
            "calserve_request_duration_seconds_bucket{model=\"shoes\",version=\"3\",le=\"+Inf\"} 7\n");
  EXPECT_THAT(Text(OneModel()), HasSubstr("calserve_batch_rows_count{model=\"shoes\",version=\"3\"} 8\n"));
}

TEST(MetricsTextTest, ShowsQueuesInstancesAndTheProcess) {
  const std::string text = Text(OneModel());
  const std::string of = "{model=\"shoes\",version=\"3\"} ";
  for (const std::string& line :
       {"calserve_predictions_total" + of + "11", "calserve_batch_compute_seconds_total" + of + "1.5",
        "calserve_batch_turn_wait_seconds_total" + of + "0.75", "calserve_model_errors_total" + of + "4",
        "calserve_queue_rows" + of + "5", "calserve_queue_bytes" + of + "600",
        "calserve_instances" + of + "2", "calserve_instances_busy" + of + "1",
        "calserve_batch_running_seconds" + of + "2.5", std::string("process_cpu_seconds_total 12.5"),
        std::string("process_resident_memory_bytes 4096"), std::string("calserve_ready 1"),
        std::string("calserve_thread_cpu_seconds_total{threads=\"decode\"} 2.5"),
        std::string("calserve_queue_drops_total{model=\"shoes\",version=\"3\",reason=\"expired\"} 2")}) {
    EXPECT_THAT(text, HasSubstr("\n" + line + "\n"));
  }
  EXPECT_THAT(Text(OneModel(), /*ready=*/false), HasSubstr("\ncalserve_ready 0\n"));
}

TEST(MetricsTextTest, AWindowWithoutLabelsHasNoFiguresButItsCount) {
  ServerValues values;
  values.calibration.resize(2);
  values.calibration[0] = {"shoes", 3, 1, "last_1000", 0};
  values.calibration[1] = {"shoes", 3, 1, "last_1h", 4};
  values.calibration[1].ece = 0.25;
  values.calibration[1].accuracy = 0.5;
  values.calibration[1].mean_confidence = 0.875;
  const std::string text = Text(values);
  const std::string of = "{model=\"shoes\",version=\"3\",calibrator=\"1\",window=\"last_1h\"} ";
  EXPECT_EQ(
      Family(text, "calserve_calibration_labels"),
      "# TYPE calserve_calibration_labels gauge\n"
      "calserve_calibration_labels{model=\"shoes\",version=\"3\",calibrator=\"1\",window=\"last_1000\"} 0\n"
      "calserve_calibration_labels" +
          of + "4\n");
  EXPECT_THAT(text, HasSubstr("\ncalserve_calibration_ece" + of + "0.25\n"));
  EXPECT_THAT(text, HasSubstr("\ncalserve_calibration_confidence_gap" + of + "0.375\n"));
  EXPECT_THAT(text, Not(HasSubstr("calserve_calibration_ece{model=\"shoes\",version=\"3\",calibrator=\"1\","
                                  "window=\"last_1000\"}")));
  // What the windows do not have now.
  EXPECT_THAT(text, Not(HasSubstr("calserve_calibration_nll")));
  EXPECT_THAT(text, Not(HasSubstr("calserve_calibration_ece_low")));
}

TEST(MetricsTextTest, ShowsSlicesByKeyAndValue) {
  ServerValues values = OneModel();
  SliceValues slice{"shoes", 3, 1, "camera", "no\"rth"};
  slice.alarm = true;
  slice.window = "last_1000";
  slice.labels = 4;
  slice.ece = 0.25;
  SliceValues empty = slice;
  empty.value = "south";
  empty.alarm = false;
  empty.labels = 0;
  SliceValues alarm_alone = empty;
  alarm_alone.value = "east";
  alarm_alone.window = "";
  values.slices = {slice, empty, alarm_alone};
  const std::string text = Text(values);
  const auto of = [](const std::string& value) {
    return "{model=\"shoes\",version=\"3\",calibrator=\"1\",slice_key=\"camera\",slice_value=\"" + value +
           "\"";
  };
  EXPECT_EQ(Family(text, "calserve_slice_alarm_raised"),
            "# TYPE calserve_slice_alarm_raised gauge\n"
            "calserve_slice_alarm_raised" +
                of("no\\\"rth") + "} 1\n" + "calserve_slice_alarm_raised" + of("south") + "} 0\n" +
                "calserve_slice_alarm_raised" + of("east") + "} 0\n");
  const std::string window = ",window=\"last_1000\"} ";
  EXPECT_EQ(Family(text, "calserve_slice_calibration_labels"),
            "# TYPE calserve_slice_calibration_labels gauge\n"
            "calserve_slice_calibration_labels" +
                of("no\\\"rth") + window + "4\n" + "calserve_slice_calibration_labels" + of("south") +
                window + "0\n");
  EXPECT_EQ(Family(text, "calserve_slice_calibration_ece"),
            "# TYPE calserve_slice_calibration_ece gauge\n"
            "calserve_slice_calibration_ece" +
                of("no\\\"rth") + window + "0.25\n");
}

TEST(MetricsTextTest, AnAlarmHasItsEvidenceInBothDirections) {
  ServerValues values;
  values.alarms = {{.model = "shoes",
                    .version = 3,
                    .calibrator = 1,
                    .raised = true,
                    .e_overconfident = 450,
                    .e_underconfident = 0.25,
                    .threshold = 200}};
  const std::string text = Text(values);
  const std::string of = "{model=\"shoes\",version=\"3\",calibrator=\"1\"";
  EXPECT_THAT(text, HasSubstr("\ncalserve_calibration_alarm_raised" + of + "} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("\ncalserve_calibration_alarm_e_value" + of + ",direction=\"overconfident\"} 450\n"));
  EXPECT_THAT(
      text, HasSubstr("\ncalserve_calibration_alarm_e_value" + of + ",direction=\"underconfident\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("\ncalserve_calibration_alarm_threshold" + of + "} 200\n"));
}

TEST(MetricsTextTest, NamesAreEscapedAndFamiliesWithoutASeriesLeftOut) {
  ServerValues values = OneModel();
  values.models[0].model = "a\"b\\c\nd";
  EXPECT_THAT(Text(values), HasSubstr("calserve_queue_rows{model=\"a\\\"b\\\\c\\nd\",version=\"3\"} 5\n"));
  EXPECT_THAT(Text(ServerValues()), Not(HasSubstr("calserve_queue_rows")));
}

TEST(MetricsTextTest, SetsAndWeightedEstimatesHaveSeriesOnlyWhereTheyAre) {
  ServerValues values = OneModel();
  values.calibration.resize(2);
  values.calibration[0] = {"shoes", 3, 1, "last_1h", 4};
  values.calibration[1] = {"shoes", 3, 1, "decay_1h", 4};
  values.calibration[0].sets = {{"THR", 0.1, 0.75, 1.5}, {"APS", 0.05, 1, 2}};
  values.calibration[1].sets = {{"THR", 0.1234567, 0.75, 1.5}, {"THR", 0.1234568, 0.5, 1.5}};
  values.calibration[0].weighted = {0.5, 0.25, 0.125};
  const std::string text = Text(values);
  const std::string of = "{model=\"shoes\",version=\"3\",calibrator=\"1\",window=\"last_1h\"";
  EXPECT_EQ(Family(text, "calserve_calibration_set_coverage"),
            "# TYPE calserve_calibration_set_coverage gauge\n"
            "calserve_calibration_set_coverage" +
                of +
                ",method=\"THR\",alpha=\"0.1\"} 0.75\n"
                "calserve_calibration_set_coverage" +
                of +
                ",method=\"APS\",alpha=\"0.05\"} 1\n"
                "calserve_calibration_set_coverage{model=\"shoes\",version=\"3\",calibrator=\"1\",window="
                "\"decay_1h\",method=\"THR\",alpha=\"0.1234567\"} 0.75\n"
                "calserve_calibration_set_coverage{model=\"shoes\",version=\"3\",calibrator=\"1\",window="
                "\"decay_1h\",method=\"THR\",alpha=\"0.1234568\"} 0.5\n");
  EXPECT_THAT(text, HasSubstr("\ncalserve_calibration_set_coverage_target" + of +
                              ",method=\"THR\",alpha=\"0.1\"} 0.9\n"));
  EXPECT_THAT(text,
              HasSubstr("\ncalserve_calibration_set_size" + of + ",method=\"APS\",alpha=\"0.05\"} 2\n"));
  EXPECT_EQ(Family(text, "calserve_calibration_weighted_accuracy"),
            "# TYPE calserve_calibration_weighted_accuracy gauge\n"
            "calserve_calibration_weighted_accuracy" +
                of + "} 0.5\n");
  EXPECT_THAT(text, HasSubstr("\ncalserve_calibration_weighted_confidence_gap" + of + "} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("\ncalserve_calibration_weighted_ece" + of + "} 0.125\n"));
}

TEST(MetricsTextTest, ShowsRefitsByTheirOutcomeAndWhichWasTheLast) {
  ServerValues values;
  values.refits = {{"shoes", 3, 2, 1, 5, 0, 4, "rolled_back"}, {"shoes", 4}};
  const std::string text = Text(values);
  const std::string of = "{model=\"shoes\",version=\"3\",outcome=";
  const std::string other = "{model=\"shoes\",version=\"4\",outcome=";
  for (const auto& [outcome, count, last] :
       {std::tuple("activated", 2, 0), std::tuple("rolled_back", 1, 1), std::tuple("kept", 5, 0),
        std::tuple("superseded", 0, 0), std::tuple("failed", 4, 0)}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat("\ncalserve_refit_attempts_total", of, "\"", outcome, "\"} ",
                                             count, "\n")));
    EXPECT_THAT(text, HasSubstr(absl::StrCat("\ncalserve_refit_last_outcome", of, "\"", outcome, "\"} ", last,
                                             "\n")));
    // From 0 before the first, so that it is seen as an increase.
    EXPECT_THAT(text,
                HasSubstr(absl::StrCat("\ncalserve_refit_attempts_total", other, "\"", outcome, "\"} 0\n")));
    EXPECT_THAT(text,
                HasSubstr(absl::StrCat("\ncalserve_refit_last_outcome", other, "\"", outcome, "\"} 0\n")));
  }
}

TEST(MetricsTextTest, ShowsTheMemoryOfAcceleratorsWhereThereAreSome) {
  ServerValues values = OneModel();
  EXPECT_THAT(Text(values), Not(HasSubstr("calserve_device_memory")));
  values.devices = {{"cuda:0", 1024, 2048, 4096, 8192}};
  for (const std::string line :
       {"allocated_bytes{device=\"cuda:0\"} 1024", "reserved_bytes{device=\"cuda:0\"} 2048",
        "free_bytes{device=\"cuda:0\"} 4096", "size_bytes{device=\"cuda:0\"} 8192"}) {
    EXPECT_THAT(Text(values), HasSubstr("\ncalserve_device_memory_" + line + "\n"));
  }
}

TEST(MetricsTextTest, ShowsTheStatesOfVersionsThatAreWantedOrLoaded) {
  ServerValues values;
  values.versions = {
      {"shoes", 5, "FAILED", true, true},           {"shoes", 4, "READY", true, false},
      {"shoes", 3, "UNLOADING", true, false},       {"shoes", 2, "UNAVAILABLE", false, false},
      {"shoes", 1, "FAILED", true, false},          {"boats", 2, "LOADING", false, true},
      {"boats", 1, "UNAVAILABLE", false, true},     {"pets", 1, "READY", false, true},
      {"pets", std::nullopt, "FAILED", true, true}, {"birds", std::nullopt, "FAILED", true, false}};
  const auto line = [](const char* model, const char* version, const char* state, const char* failed) {
    return absl::StrCat("calserve_model_version_state{model=\"", model, "\",version=\"", version,
                        "\",state=\"", state, "\",failed=\"", failed, "\"} 1\n");
  };
  EXPECT_EQ(Family(Text(values), "calserve_model_version_state"),
            "# TYPE calserve_model_version_state gauge\n" + line("shoes", "5", "FAILED", "true") +
                line("shoes", "4", "READY", "true") + line("shoes", "3", "UNLOADING", "false") +
                line("boats", "2", "LOADING", "false") + line("boats", "1", "UNAVAILABLE", "false") +
                line("pets", "1", "READY", "false") + line("pets", "", "FAILED", "true"));
  EXPECT_THAT(Text(ServerValues()), Not(HasSubstr("calserve_model_version_state")));
}

// By promlint's rules: counters, and they alone, end in _total; a family has a help and comes once.
TEST(MetricsTextTest, NamesKeepTheConventions) {
  std::set<std::string> names;
  std::string helped;
  for (const absl::string_view line : absl::StrSplit(Text(OneModel()), '\n')) {
    std::istringstream words{std::string(line)};
    std::string hash, what, name, type;
    words >> hash >> what >> name >> type;
    if (hash != "#") continue;
    if (what == "HELP") {
      EXPECT_FALSE(type.empty()) << line;
      helped = name;
      continue;
    }
    EXPECT_EQ(helped, name);
    EXPECT_TRUE(names.insert(name).second) << name << " comes twice";
    const bool is_total = name.size() > 6 && name.substr(name.size() - 6) == "_total";
    EXPECT_EQ(is_total, type == "counter") << line;
  }
  EXPECT_GE(names.size(), 25u);
}

}  // namespace
}  // namespace calserve
