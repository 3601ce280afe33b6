#include "server/rpc/kserve_inputs.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "server/base/byte_pieces.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/rpc/kserve_parameters.h"

namespace calserve::kserve {
namespace {

constexpr int64_t kAny = -1;             // a dimension that every size fits
constexpr int64_t kMaxSide = 1'000'000;  // of pixels: sizes in bytes are then within int64
constexpr size_t kMaxShown = 10;         // dimensions in a message: a shape has as many as its sender likes
constexpr size_t kLengthBytes = 4;       // before each element of BYTES

absl::Status Wrong(absl::string_view field, const std::string& message) {
  return WithField(absl::InvalidArgumentError(message), field);
}

std::string ShapeText(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape.subspan(0, kMaxShown), ","),
                      shape.size() > kMaxShown ? ",…]" : "]");
}

// Reads the one input of one request; the messages are Triton's where it has one.
class InputReader {
 public:
  InputReader(const inference::ModelInferRequest& request, BytePiecesView in_place, const ServedModel& model)
      : request_(request), input_(request.inputs(0)), in_place_(in_place), model_(model) {}

  absl::StatusOr<InputRows> Read() {
    RETURN_IF_ERROR(CheckContents());
    InputRows out;
    if (input_.datatype() == "FP32") {
      RETURN_IF_ERROR(ReadFloats(out));
    } else if (model_.preprocessor.has_value() && input_.datatype() == "UINT8") {
      RETURN_IF_ERROR(ReadPixels(out));
    } else if (model_.preprocessor.has_value() && input_.datatype() == "BYTES") {
      RETURN_IF_ERROR(ReadFiles(out));
    } else {
      return Wrong("inputs[0].datatype",
                   absl::StrCat("inference input '", input_.name(), "' data-type is '", input_.datatype(),
                                "', but model '", model_.name, "' expects '", InputDataTypes(model_), "'"));
    }
    return out;
  }

 private:
  std::string Named() const {
    return absl::StrCat("input '", input_.name(), "' for model '", model_.name, "'");
  }
  bool raw() const { return request_.raw_input_contents_size() > 0; }
  BytePieces RawFloats() const {
    if (in_place_.empty()) return {request_.raw_input_contents(0)};
    return {in_place_.begin(), in_place_.end()};
  }

  // Data is in the raw contents or in the typed contents, in the field of the data type.
  absl::Status CheckContents() const {
    RETURN_IF_ERROR(CheckNoSharedMemory(input_.name(), input_.parameters()));
    if (raw() && input_.contents().ByteSizeLong() > 0) {  // MLServer's clients send one that is empty.
      return Wrong("inputs[0].contents",
                   absl::StrCat("contents field must not be specified when using raw_input_contents for '",
                                input_.name(), "' for model '", model_.name, "'"));
    }
    if (!raw() && !input_.has_contents()) {
      return Wrong("inputs[0].contents", absl::StrCat("unable to find data for input tensor '", input_.name(),
                                                      "' for model '", model_.name, "' in request"));
    }
    const inference::InferTensorContents& typed = input_.contents();
    const std::pair<absl::string_view, int> fields[] = {
        {"BOOL", typed.bool_contents_size()},     {"INT32", typed.int_contents_size()},
        {"INT64", typed.int64_contents_size()},   {"UINT8", typed.uint_contents_size()},
        {"UINT64", typed.uint64_contents_size()}, {"FP32", typed.fp32_contents_size()},
        {"FP64", typed.fp64_contents_size()},     {"BYTES", typed.bytes_contents_size()}};
    for (const auto& [datatype, size] : fields) {
      if (size == 0 || datatype == FieldOf(input_.datatype())) continue;
      return Wrong("inputs[0].contents",
                   absl::StrCat("unexpected explicit tensor data for input tensor '", input_.name(),
                                "' for model '", model_.name, "' of type '", datatype,
                                "', expected datatype '", input_.datatype(), "'"));
    }
    return absl::OkStatus();
  }

  // The data type that the field is named for here which holds values of `datatype`, too.
  static absl::string_view FieldOf(absl::string_view datatype) {
    if (datatype == "INT8" || datatype == "INT16") return "INT32";
    if (datatype == "UINT16" || datatype == "UINT32") return "UINT8";
    return datatype;
  }

  // The shape fits one of those expected.
  absl::Status CheckShape(const std::vector<std::vector<int64_t>>& expected) const {
    for (const int64_t dimension : input_.shape()) {
      if (dimension >= 0) continue;
      return Wrong("inputs[0].shape", absl::StrCat("All input dimensions should be specified for ", Named(),
                                                   ", got ", ShapeText(input_.shape())));
    }
    const auto fits = [this](const std::vector<int64_t>& shape) {
      return std::equal(shape.begin(), shape.end(), input_.shape().begin(), input_.shape().end(),
                        [](int64_t want, int64_t got) { return want == kAny || want == got; });
    };
    if (std::none_of(expected.begin(), expected.end(), fits)) {
      const std::string shapes =
          absl::StrJoin(expected, " or ", [](std::string* out, const std::vector<int64_t>& shape) {
            absl::StrAppend(out, ShapeText(shape));
          });
      return Wrong("inputs[0].shape", absl::StrCat("unexpected shape for ", Named(), ". Expected ", shapes,
                                                   ", got ", ShapeText(input_.shape())));
    }
    const int64_t rows = input_.shape(0);
    if (rows >= 1 && rows <= model_.max_batch_size) return absl::OkStatus();
    return Wrong("inputs[0].shape",
                 absl::StrCat("inference request batch-size must be ",
                              rows < 1 ? std::string(">= 1") : absl::StrCat("<= ", model_.max_batch_size),
                              " for '", model_.name, "'; was ", rows));
  }

  absl::Status CheckBytes(size_t expected, size_t got) const {
    if (expected == got) return absl::OkStatus();
    return Wrong(
        raw() ? "raw_input_contents[0]" : "inputs[0].contents",
        absl::StrCat("input byte size mismatch for ", Named(), ". Expected ", expected, ", got ", got));
  }

  absl::Status ReadFloats(InputRows& out) const {
    std::vector<int64_t> expected = {kAny};
    expected.insert(expected.end(), model_.input_shape.begin(), model_.input_shape.end());
    RETURN_IF_ERROR(CheckShape({expected}));
    const auto& typed = input_.contents().fp32_contents();
    const BytePieces data = raw() ? RawFloats() : BytePieces{BytesOf(typed)};
    const size_t rows = static_cast<size_t>(input_.shape(0));
    const size_t row_bytes = static_cast<size_t>(model_.input_size) * sizeof(float);
    RETURN_IF_ERROR(CheckBytes(rows * row_bytes, SizeOf(data)));
    PieceCutter cutter(data);
    out.rows.resize(rows);
    for (PredictionInput& row : out.rows) {
      row.value = TensorInput{TensorInput::Type::kFloat32, model_.input_shape, cutter.Next(row_bytes)};
    }
    return absl::OkStatus();
  }

  absl::Status ReadPixels(InputRows& out) const {
    RETURN_IF_ERROR(CheckShape({{kAny, kAny, kAny, 1}, {kAny, kAny, kAny, 3}}));
    const int64_t height = input_.shape(1), width = input_.shape(2), channels = input_.shape(3);
    if (std::min(height, width) < 1 || std::max(height, width) > kMaxSide) {
      return Wrong("inputs[0].shape", absl::StrCat("height and width must be from 1 to ", kMaxSide, " for ",
                                                   Named(), ", got ", ShapeText(input_.shape())));
    }
    absl::string_view data;
    if (raw()) {
      data = request_.raw_input_contents(0);
    } else {
      RETURN_IF_ERROR(ConvertPixels(out.converted));
      data = absl::string_view(out.converted.data(), out.converted.size());
    }
    const size_t rows = static_cast<size_t>(input_.shape(0));
    const size_t row_bytes = static_cast<size_t>(height * width * channels);
    RETURN_IF_ERROR(CheckBytes(rows * row_bytes, data.size()));
    out.rows.resize(rows);
    for (size_t row = 0; row < rows; ++row) {
      out.rows[row].value = PixelView{static_cast<int>(height), static_cast<int>(width),
                                      static_cast<int>(channels), data.substr(row * row_bytes, row_bytes)};
    }
    return absl::OkStatus();
  }

  absl::Status ConvertPixels(std::vector<char>& converted) const {
    const auto& typed = input_.contents().uint_contents();
    converted.reserve(typed.size());
    for (const uint32_t value : typed) {
      if (value > 255) {
        return Wrong("inputs[0].contents", absl::StrCat("values of UINT8 must be from 0 to 255 for ", Named(),
                                                        "; element ", converted.size(), " is ", value));
      }
      converted.push_back(static_cast<char>(value));
    }
    return absl::OkStatus();
  }

  absl::Status ReadFiles(InputRows& out) const {
    RETURN_IF_ERROR(
        CheckShape({input_.shape_size() == 1 ? std::vector<int64_t>{kAny} : std::vector<int64_t>{kAny, 1}}));
    std::vector<absl::string_view> files;
    if (raw()) {
      RETURN_IF_ERROR(CutElements(request_.raw_input_contents(0), files));
      RETURN_IF_ERROR(CheckElements(files.size()));
    } else {
      const auto& typed = input_.contents().bytes_contents();
      RETURN_IF_ERROR(CheckElements(static_cast<size_t>(typed.size())));
      files.assign(typed.begin(), typed.end());
    }
    out.rows.resize(files.size());
    for (size_t row = 0; row < files.size(); ++row) out.rows[row].value = EncodedImage{files[row]};
    return absl::OkStatus();
  }

  absl::Status CheckElements(size_t got) const {
    if (got == static_cast<size_t>(input_.shape(0))) return absl::OkStatus();
    return Wrong(raw() ? "raw_input_contents[0]" : "inputs[0].contents",
                 absl::StrCat("unexpected number of string elements ", got, " for inference ", Named(),
                              ", expecting ", input_.shape(0)));
  }

  // Each element is its length, a little-endian number, and then so many bytes.
  absl::Status CutElements(absl::string_view data, std::vector<absl::string_view>& elements) const {
    const auto incomplete = [&](absl::string_view what, uint64_t expected) {
      return Wrong("raw_input_contents[0]",
                   absl::StrCat("incomplete string ", what, " for inference ", Named(), ", expecting ",
                                expected, " bytes but only ", data.size(), " bytes available"));
    };
    while (!data.empty()) {
      // One too many is enough to know; a hostile request is not cut to the end.
      if (elements.size() > static_cast<size_t>(input_.shape(0))) return CheckElements(elements.size());
      uint32_t length = 0;
      if (data.size() < kLengthBytes) return incomplete("length indicator", kLengthBytes);
      std::memcpy(&length, data.data(), kLengthBytes);
      data.remove_prefix(kLengthBytes);
      if (data.size() < length) return incomplete("data", length);
      elements.push_back(data.substr(0, length));
      data.remove_prefix(length);
    }
    return absl::OkStatus();
  }

  const inference::ModelInferRequest& request_;
  const inference::ModelInferRequest::InferInputTensor& input_;
  const BytePiecesView in_place_;
  const ServedModel& model_;
};

}  // namespace

std::string InputDataTypes(const ServedModel& model) {
  return model.preprocessor.has_value() ? "FP32,UINT8,BYTES" : "FP32";
}

absl::StatusOr<InputRows> ReadInput(const inference::ModelInferRequest& request, BytePiecesView in_place,
                                    const ServedModel& model) {
  for (const auto& input : request.inputs()) {
    if (input.name() == model.tensor_names.input) continue;
    return Wrong("inputs", absl::StrCat("unexpected inference input '", input.name(), "' for model '",
                                        model.name, "'; its input is '", model.tensor_names.input, "'"));
  }
  if (request.inputs_size() != 1) {
    return Wrong("inputs", absl::StrCat("expected 1 inputs but got ", request.inputs_size(),
                                        " inputs for model '", model.name, "'"));
  }
  if (request.raw_input_contents_size() > 1) {
    return Wrong("raw_input_contents",
                 absl::StrCat("expected 1 raw_input_contents, one an input, but got ",
                              request.raw_input_contents_size(), " for model '", model.name, "'"));
  }
  return InputReader(request, in_place, model).Read();
}

}  // namespace calserve::kserve
