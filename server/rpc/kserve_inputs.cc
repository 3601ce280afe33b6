#include "server/rpc/kserve_inputs.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace calserve::kserve {
namespace {

using Input = inference::ModelInferRequest::InferInputTensor;

// "input 'input' for model 'm'", as Triton's messages name it.
std::string Named(const Input& input, const ServedModel& model) {
  return absl::StrCat("input '", input.name(), "' for model '", model.name, "'");
}

absl::Status Wrong(const std::string& field, const std::string& message) {
  return WithField(absl::InvalidArgumentError(message), field);
}

std::string ShapeText(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

// Rows × shape, with the batch dimension -1.
absl::Status CheckShape(const Input& input, const ServedModel& model, const std::vector<int64_t>& row_shape) {
  std::vector<int64_t> expected = {-1};
  expected.insert(expected.end(), row_shape.begin(), row_shape.end());
  bool equal = static_cast<size_t>(input.shape_size()) == expected.size();
  for (size_t i = 1; equal && i < expected.size(); ++i)
    equal = input.shape(static_cast<int>(i)) == expected[i];
  if (equal) return absl::OkStatus();
  return Wrong("inputs[0].shape", absl::StrCat("unexpected shape for ", Named(input, model), ". Expected ",
                                               ShapeText(expected), ", got ", ShapeText(input.shape())));
}

absl::Status CheckBatch(int64_t rows, const ServedModel& model) {
  if (rows >= 1 && rows <= model.max_batch_size) return absl::OkStatus();
  return Wrong("inputs[0].shape",
               absl::StrCat("inference request batch-size must be ",
                            rows < 1 ? ">= 1" : "<= ", rows < 1 ? "" : absl::StrCat(model.max_batch_size),
                            " for '", model.name, "'; was ", rows));
}

}  // namespace

absl::StatusOr<InputRows> ReadInput(const inference::ModelInferRequest& request, const ServedModel& model) {
  if (request.inputs_size() != 1 || request.raw_input_contents_size() != 1) {
    return Wrong("inputs", absl::StrCat("expected 1 inputs but got ", request.inputs_size(),
                                        " inputs for model '", model.name, "'"));
  }
  const Input& input = request.inputs(0);
  RETURN_IF_ERROR(CheckShape(input, model, model.input_shape));
  RETURN_IF_ERROR(CheckBatch(input.shape(0), model));
  const absl::string_view data = request.raw_input_contents(0);
  const size_t row_bytes = static_cast<size_t>(model.input_size) * sizeof(float);
  const size_t rows = static_cast<size_t>(input.shape(0));
  if (data.size() != rows * row_bytes) {
    return Wrong("raw_input_contents", absl::StrCat("input byte size mismatch for ", Named(input, model),
                                                    ". Expected ", rows * row_bytes, ", got ", data.size()));
  }
  InputRows out;
  for (size_t row = 0; row < rows; ++row) {
    out.rows.emplace_back().value =
        TensorInput{TensorInput::Type::kFloat32, model.input_shape, data.substr(row * row_bytes, row_bytes)};
  }
  return out;
}

}  // namespace calserve::kserve
