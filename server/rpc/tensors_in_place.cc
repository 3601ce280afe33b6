#include "server/rpc/tensors_in_place.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "calserve/v1/prediction.pb.h"
#include "inference/grpc_service.pb.h"

namespace calserve {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

// The fields from a message down to the bytes of its tensors, one of them repeated; empty: it has none.
absl::Span<const int> PathToTensors(const Descriptor* type) {
  static constexpr int kPath[] = {v1::StreamPredictRequest::kRequestFieldNumber,
                                  v1::PredictRequest::kInputsFieldNumber, v1::Input::kTensorFieldNumber,
                                  v1::Tensor::kDataFieldNumber};
  static constexpr int kKservePath[] = {inference::ModelInferRequest::kRawInputContentsFieldNumber};
  if (type == v1::StreamPredictRequest::descriptor()) return kPath;
  if (type == v1::PredictRequest::descriptor()) return absl::MakeConstSpan(kPath).subspan(1);
  if (type == inference::ModelInferRequest::descriptor()) return kKservePath;
  return {};
}

std::string Varint(int value) {
  uint8_t bytes[5];
  uint8_t* const end = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(value), bytes);
  return std::string(bytes, end);
}

// What stands in a message's bytes from `begin` to `end` once its large tensors are taken out: of the
// messages around a tensor another length, and of a tensor, whose bytes those from `tensor_begin` on are, the
// length 0.
struct Edit {
  int begin = 0, end = 0;
  std::string instead;
  std::optional<int> index;  // of the tensor
  int tensor_begin = 0;
};

// Finds the large tensors of a message.
class TensorFinder {
 public:
  explicit TensorFinder(CodedInputStream& in) : in_(in) {}

  // By how many bytes the message of `type` that is read up to `end` becomes shorter. Nothing where it is to
  // be parsed as a whole.
  std::optional<int> Walk(const Descriptor& type, absl::Span<const int> path, int end) {
    const google::protobuf::FieldDescriptor& field = *type.FindFieldByNumber(path.front());
    const uint32_t wanted =
        WireFormatLite::MakeTag(field.number(), WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
    int shorter = 0;
    for (int found = 0; in_.CurrentPosition() < end;) {
      const uint32_t tag = in_.ReadTag();
      if (tag != wanted) {
        if (tag == 0 || !WireFormatLite::SkipField(&in_, tag)) return std::nullopt;
        continue;
      }
      if (++found > 1 && !field.is_repeated()) return std::nullopt;
      const int begin = in_.CurrentPosition();
      uint32_t length;
      if (!in_.ReadVarint32(&length)) return std::nullopt;
      const int content = in_.CurrentPosition();
      if (length > static_cast<uint32_t>(end - content)) return std::nullopt;
      if (field.is_repeated()) index_ = found - 1;
      const std::optional<int> less = path.size() == 1 ? Tensor(begin, content, static_cast<int>(length))
                                                       : Enter(*field.message_type(), path.subspan(1), begin,
                                                               content, static_cast<int>(length));
      if (!less.has_value()) return std::nullopt;
      shorter += *less;
    }
    return in_.CurrentPosition() == end ? std::optional(shorter) : std::nullopt;
  }

  // In their order.
  const std::vector<Edit>& edits() const { return edits_; }

 private:
  std::optional<int> Tensor(int begin, int content, int length) {
    const int end = content + length;
    if (!in_.Skip(length)) return std::nullopt;
    if (static_cast<size_t>(length) < TensorsInPlace::kLarge) return 0;
    edits_.push_back({begin, end, Varint(0), index_, content});
    return end - begin - 1;
  }

  std::optional<int> Enter(const Descriptor& type, absl::Span<const int> path, int begin, int content,
                           int length) {
    const size_t own = edits_.size();
    edits_.push_back({begin, content, "", {}});
    const std::optional<int> less = Walk(type, path, content + length);
    if (!less.has_value()) return std::nullopt;
    if (*less == 0) {
      edits_.pop_back();  // There is none in it, and so no edit.
      return 0;
    }
    edits_[own].instead = Varint(length - *less);
    return *less + (content - begin) - static_cast<int>(edits_[own].instead.size());
  }

  CodedInputStream& in_;
  int index_ = 0;
  std::vector<Edit> edits_;
};

std::vector<Edit> FindTensors(grpc::ByteBuffer& bytes, const Descriptor& type, absl::Span<const int> path) {
  grpc::ProtoBufferReader reader(&bytes);
  CodedInputStream in(&reader);
  TensorFinder finder(in);
  return finder.Walk(type, path, static_cast<int>(bytes.Length())).has_value() ? finder.edits()
                                                                               : std::vector<Edit>();
}

}  // namespace

ByteBudget& BytesInPlace() {
  static ByteBudget budget(int64_t{256} << 20);
  return budget;
}

bool TensorsInPlace::Parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  const size_t size = bytes.Length();
  if (size < kLarge || size > std::numeric_limits<int>::max()) return false;
  const Descriptor* const type = message.GetDescriptor();
  const absl::Span<const int> path = PathToTensors(type);
  if (path.empty()) return false;
  const std::vector<Edit> edits = FindTensors(bytes, *type, path);
  ByteBudget::Share share;
  std::vector<grpc::Slice> slices;
  if (edits.empty() || !share.Take(BytesInPlace(), static_cast<int64_t>(size)) || !bytes.Dump(&slices).ok()) {
    return false;
  }
  BytePieces pieces;
  for (const grpc::Slice& slice : slices) {
    pieces.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  PieceCutter cutter(pieces);
  int at = 0;
  const auto up_to = [&](int end) { return cutter.Next(static_cast<size_t>(end - std::exchange(at, end))); };
  std::map<int, BytePieces> tensors;
  std::string rest;
  for (const Edit& edit : edits) {
    absl::StrAppend(&rest, JoinPieces(up_to(edit.begin)), edit.instead);
    if (edit.index.has_value()) {
      up_to(edit.tensor_begin);
      tensors.emplace(*edit.index, up_to(edit.end));
    } else {
      up_to(edit.end);
    }
  }
  rest += JoinPieces(up_to(static_cast<int>(size)));
  if (!message.ParseFromString(rest)) return false;
  bytes.Clear();
  share_ = std::move(share);
  slices_ = std::move(slices);  // Those of a few bytes hold them; they stay where they are, too.
  tensors_ = std::move(tensors);
  return true;
}

BytePiecesView TensorsInPlace::At(int index) const {
  const auto found = tensors_.find(index);
  return found == tensors_.end() ? BytePiecesView() : found->second;
}

}  // namespace calserve
