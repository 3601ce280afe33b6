#include "server/rpc/kserve_describe.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/rpc/kserve_fixtures.h"

namespace calserve::kserve {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// Answers every report with the same figures.
class FakeMonitor final : public CalibrationMonitor {
 public:
  void Notify() override {}
  absl::StatusOr<WindowReport> Report(const MonitorKey& key, const std::string& window) override {
    asked = key;
    if (window != "last_1h") return absl::InvalidArgumentError("no such window");
    return report;
  }
  void SetShadows(ShadowSource) override {}
  LabelArrivals::Summary Arrivals(const MonitorKey&) const override { return {}; }
  AlarmStatus Alarm(const MonitorKey&) const override { return {}; }
  absl::StatusOr<AlarmStatus> AcknowledgeAlarm(const MonitorKey&) override { return AlarmStatus(); }
  SliceTable Slices(const std::string&) const override { return {}; }
  KeyRevision Revision(const MonitorKey&) const override { return {}; }
  MonitorState state() const override { return {}; }
  void SetOnFold(std::function<void()>) override {}
  bool WaitForPosition(int64_t, absl::Duration) override { return true; }
  absl::Status SaveCheckpoint() override { return absl::OkStatus(); }

  absl::StatusOr<WindowReport> report = WindowReport();
  MonitorKey asked;
};

Snapshot SnapshotOf(std::shared_ptr<ServedModel> model, CalibratorSpec spec) {
  return {std::move(model), std::make_shared<ServedCalibrator>(
                                ServedCalibrator{*Calibrator::Create(std::move(spec)), 4, "digest"})};
}

TEST(KservePropertiesTest, NameTheCalibratorItsParametersAndTheEceOfItsLabels) {
  FakeMonitor monitor;
  monitor.report->served.n = 250;
  monitor.report->served.ece = 0.0123456789;
  const Snapshot snapshot =
      SnapshotOf(ImageModel(), {CalibrationMethod::kTemperature, 3, {{"temperature", {1.7}}}});
  EXPECT_THAT(PropertiesOf(snapshot, monitor, "last_1h"),
              UnorderedElementsAre(Pair("task", "multiclass"), Pair("input_datatypes", "FP32,UINT8,BYTES"),
                                   Pair("calibrator_method", "temperature"), Pair("calibrator_version", "4"),
                                   Pair("calibrator_temperature", "1.7"), Pair("ece", "0.012346"),
                                   Pair("ece_labels", "250"), Pair("ece_window", "last_1h")));
  EXPECT_EQ(monitor.asked, (MonitorKey{"m", 3, 4}));
}

TEST(KservePropertiesTest, HaveNoEceWithoutLabelsOrWithoutTheWindow) {
  FakeMonitor monitor;
  const Snapshot snapshot =
      SnapshotOf(TensorModel(),
                 {CalibrationMethod::kPlattOneVsRest, 3, {{"slope", {1, 2, 3}}, {"offset", {0, 0, 0.5}}}});
  EXPECT_EQ(PropertiesOf(snapshot, monitor, "last_1h").count("ece"), 0);
  EXPECT_EQ(PropertiesOf(snapshot, monitor, "last_1h").at("calibrator_slope"), "1,2,3");
  EXPECT_EQ(PropertiesOf(snapshot, monitor, "last_1h").at("calibrator_offset"), "0,0,0.5");
  monitor.report = absl::InvalidArgumentError("no such window");
  EXPECT_EQ(PropertiesOf(snapshot, monitor, "last_1h").count("ece"), 0);
}

TEST(KservePropertiesTest, AreOfTheUsualWindowOrElseOfTheFirst) {
  EXPECT_EQ(EceWindow({"last_10", "last_1000"}), "last_1000");
  EXPECT_EQ(EceWindow({"last_10", "decay_1h"}), "last_10");
  EXPECT_EQ(EceWindow({}), "last_1000");
}

class KserveConfigTest : public ::testing::Test {
 protected:
  inference::ModelConfig Config(const std::string& format, const std::string& device, int instances) {
    auto model = TensorModel();
    model->model = std::make_unique<DescribedModel>(format, device, instances);
    BatchRunner runner;
    runner.row_size = 6;
    runner.columns = 3;
    BatchingOptions options;
    options.max_queue_delay = absl::Milliseconds(2);
    options.max_queue_rows = 99;
    options.queue_timeout = absl::Milliseconds(30);
    options.priority_levels = 3;
    options.default_priority = 2;
    model->batcher = *Batcher::Create(options, std::move(runner));
    inference::ModelConfig config;
    Describe(*model, {{"task", "binary"}}, config);
    return config;
  }
};

TEST_F(KserveConfigTest, TellsFormatAndPlace) {
  const inference::ModelConfig package = Config("aotinductor", "cuda:1", 3);
  EXPECT_EQ(package.platform(), "torch_aoti");
  EXPECT_EQ(package.default_model_filename(), "model.pt2");
  EXPECT_EQ(package.instance_group(0).kind(), inference::ModelInstanceGroup::KIND_GPU);
  EXPECT_THAT(package.instance_group(0).gpus(), ElementsAre(1));
  EXPECT_EQ(package.instance_group(0).count(), 3);
  const inference::ModelConfig script = Config("torchscript", "cpu", 1);
  EXPECT_EQ(script.platform(), "pytorch_libtorch");
  EXPECT_EQ(script.default_model_filename(), "model.pt");
  EXPECT_EQ(script.instance_group(0).kind(), inference::ModelInstanceGroup::KIND_CPU);
  EXPECT_EQ(script.instance_group(0).gpus_size(), 0);
}

TEST_F(KserveConfigTest, TellsTheBatchersLimits) {
  const inference::ModelConfig config = Config("torchscript", "cpu", 1);
  EXPECT_EQ(config.max_batch_size(), 4);
  EXPECT_EQ(config.dynamic_batching().max_queue_delay_microseconds(), 2000);
  EXPECT_EQ(config.dynamic_batching().default_queue_policy().max_queue_size(), 99);
  EXPECT_EQ(config.dynamic_batching().default_queue_policy().default_timeout_microseconds(), 30'000);
  EXPECT_EQ(config.dynamic_batching().priority_levels(), 3);
  EXPECT_EQ(config.dynamic_batching().default_priority_level(), 2);
  EXPECT_TRUE(config.dynamic_batching().default_queue_policy().allow_timeout_override());
  EXPECT_EQ(config.input(0).format(), inference::ModelInput::FORMAT_NONE);
  EXPECT_EQ(config.parameters().at("task").string_value(), "binary");
}

}  // namespace
}  // namespace calserve::kserve
