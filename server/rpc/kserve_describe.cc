#include "server/rpc/kserve_describe.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/rpc/kserve_inputs.h"
#include "server/rpc/kserve_outputs.h"

namespace calserve::kserve {
namespace {

constexpr absl::string_view kEceWindow = "last_1000";
constexpr size_t kMaxParameterValues =
    64;  // of one calibrator parameter, a value a class: more do not inform
constexpr char kPlatformTorchScript[] = "pytorch_libtorch";
constexpr char kPlatformPackage[] = "torch_aoti";

bool IsPackage(const ServedModel& model) { return model.model->format() == "aotinductor"; }

std::string Platform(const ServedModel& model) {
  return IsPackage(model) ? kPlatformPackage : kPlatformTorchScript;
}

int64_t ColumnsOf(const OutputTensor& output, const ServedModel& model) {
  return output.per_class ? model.classes() : 1;
}

// Of a DurationCounter or a DurationHistogram.
template <typename Counter>
void Set(const Counter& counter, inference::StatisticDuration& to) {
  to.set_count(static_cast<uint64_t>(counter.count()));
  to.set_ns(static_cast<uint64_t>(absl::ToInt64Nanoseconds(counter.total())));
}

void Set(int64_t count, absl::Duration total, inference::StatisticDuration& to) {
  to.set_count(static_cast<uint64_t>(count));
  to.set_ns(static_cast<uint64_t>(absl::ToInt64Nanoseconds(total)));
}

void DescribeInstances(const ServedModel& model, inference::ModelInstanceGroup& to) {
  to.set_name(absl::StrCat(model.name, "_0"));
  to.set_count(model.model->options().instances);
  absl::string_view device = model.model->device();
  int32_t gpu = 0;
  if (!absl::ConsumePrefix(&device, "cuda")) {
    to.set_kind(inference::ModelInstanceGroup::KIND_CPU);
    return;
  }
  to.set_kind(inference::ModelInstanceGroup::KIND_GPU);
  if (absl::ConsumePrefix(&device, ":") && absl::SimpleAtoi(device, &gpu)) to.add_gpus(gpu);
}

}  // namespace

std::string EceWindow(const std::vector<std::string>& windows) {
  if (windows.empty() || absl::c_linear_search(windows, kEceWindow)) return std::string(kEceWindow);
  return windows.front();
}

Properties PropertiesOf(const Snapshot& snapshot, CalibrationMonitor& monitor, const std::string& window) {
  const ServedModel& model = *snapshot.model;
  const CalibratorSpec& calibrator = snapshot.calibrator->calibrator.spec();
  Properties properties = {
      {"task", model.binary ? "binary" : "multiclass"},
      {"input_datatypes", InputDataTypes(model)},
      {"calibrator_method", MethodName(calibrator.method)},
      {"calibrator_version", absl::StrCat(snapshot.calibrator->version)},
  };
  if (!model.attribute_keys.empty()) properties["attributes"] = absl::StrJoin(model.attribute_keys, ",");
  const auto exactly = [](std::string* out, double value) { absl::StrAppendFormat(out, "%.17g", value); };
  for (const CalibratorSpec::Parameter& parameter : calibrator.parameters) {
    if (parameter.values.size() > kMaxParameterValues) continue;
    properties[absl::StrCat("calibrator_", parameter.name)] = absl::StrJoin(parameter.values, ",", exactly);
  }
  const absl::StatusOr<WindowReport> report =
      monitor.Report({model.name, model.version, snapshot.calibrator->version}, window);
  if (report.ok() && report->served.n > 0) {
    properties["ece"] = absl::StrFormat("%.6f", report->served.ece);
    properties["ece_labels"] = absl::StrCat(report->served.n);
    properties["ece_window"] = window;
  }
  return properties;
}

void Describe(const ServedModel& model, const std::vector<int64_t>& versions, const Properties& properties,
              inference::ModelMetadataResponse& to) {
  to.set_name(model.name);
  for (const int64_t version : versions) to.add_versions(absl::StrCat(version));
  to.set_platform(Platform(model));
  inference::ModelMetadataResponse::TensorMetadata& input = *to.add_inputs();
  input.set_name(model.tensor_names.input);
  input.set_datatype("FP32");
  input.add_shape(-1);
  for (const int64_t dimension : model.input_shape) input.add_shape(dimension);
  for (const OutputTensor& tensor : kOutputs) {
    inference::ModelMetadataResponse::TensorMetadata& output = *to.add_outputs();
    output.set_name(NameOf(tensor, model));
    output.set_datatype(tensor.datatype);
    output.add_shape(-1);
    output.add_shape(ColumnsOf(tensor, model));
  }
  to.mutable_properties()->insert(properties.begin(), properties.end());
}

void Describe(const ServedModel& model, const Properties& properties, inference::ModelConfig& to) {
  to.set_name(model.name);
  to.set_platform(Platform(model));
  to.set_backend("pytorch");
  to.set_default_model_filename(IsPackage(model) ? "model.pt2" : "model.pt");
  to.set_max_batch_size(model.max_batch_size);
  inference::ModelInput& input = *to.add_input();
  input.set_name(model.tensor_names.input);
  input.set_data_type(inference::TYPE_FP32);
  if (model.preprocessor.has_value()) input.set_format(inference::ModelInput::FORMAT_NCHW);
  for (const int64_t dimension : model.input_shape) input.add_dims(dimension);
  for (const OutputTensor& tensor : kOutputs) {
    inference::ModelOutput& output = *to.add_output();
    output.set_name(NameOf(tensor, model));
    output.set_data_type(tensor.per_class ? inference::TYPE_FP32 : inference::TYPE_STRING);
    output.add_dims(ColumnsOf(tensor, model));
    if (tensor.per_class) output.set_label_filename("labels.txt");
  }
  DescribeInstances(model, *to.add_instance_group());
  const BatchingOptions& batching = model.batcher->options();
  inference::ModelDynamicBatching& dynamic = *to.mutable_dynamic_batching();
  dynamic.set_max_queue_delay_microseconds(
      static_cast<uint64_t>(absl::ToInt64Microseconds(batching.max_queue_delay)));
  dynamic.set_priority_levels(static_cast<uint64_t>(batching.priority_levels));
  dynamic.set_default_priority_level(static_cast<uint64_t>(batching.default_priority));
  inference::ModelQueuePolicy& policy = *dynamic.mutable_default_queue_policy();
  policy.set_default_timeout_microseconds(
      static_cast<uint64_t>(absl::ToInt64Microseconds(batching.queue_timeout)));
  policy.set_allow_timeout_override(true);
  policy.set_max_queue_size(static_cast<uint32_t>(batching.max_queue_rows));
  to.mutable_model_transaction_policy()->set_decoupled(false);
  for (const auto& [name, value] : properties) (*to.mutable_parameters())[name].set_string_value(value);
}

void Describe(const ServedModel& model, inference::ModelStatistics& to) {
  const RequestCounters& counters = *model.counters;
  to.set_name(model.name);
  to.set_version(absl::StrCat(model.version));
  to.set_last_inference(static_cast<uint64_t>(counters.last_answer()));
  to.set_inference_count(static_cast<uint64_t>(counters.rows()));
  inference::InferStatistics& requests = *to.mutable_inference_stats();
  Set(counters.answered(), *requests.mutable_success());
  Set(counters.queue(), *requests.mutable_queue());
  Set(counters.preprocess(), *requests.mutable_compute_input());
  Set(counters.model(), *requests.mutable_compute_infer());
  Set(counters.calibrate(), *requests.mutable_compute_output());
  const RequestCounters::Failures failures = counters.failures();
  Set(failures.count, failures.total, *requests.mutable_fail());
  // There is no cache. What is left unset is null in Node and Rust, and their programs do not expect it.
  requests.mutable_cache_hit();
  requests.mutable_cache_miss();

  const Batcher::Counters batches = model.batcher->counters();
  to.set_execution_count(static_cast<uint64_t>(batches.batches));
  for (size_t i = 0; i < batches.by_rows.size(); ++i) {
    if (batches.by_rows[i].batches == 0) continue;
    inference::InferBatchStatistics& of_size = *to.add_batch_stats();
    of_size.set_batch_size(i + 1);
    Set(batches.by_rows[i].batches, batches.by_rows[i].ran, *of_size.mutable_compute_infer());
    of_size.mutable_compute_input();  // A request's, not a batch's.
    of_size.mutable_compute_output();
  }
}

}  // namespace calserve::kserve
