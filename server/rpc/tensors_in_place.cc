#include "server/rpc/tensors_in_place.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

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
      const int field_begin = in_.CurrentPosition();
      const uint32_t tag = in_.ReadTag();
      if (tag != wanted) {
        if (tag == 0 || !WireFormatLite::SkipField(&in_, tag)) return std::nullopt;
        continue;
      }
      const int begin = in_.CurrentPosition();
      if (begin - field_begin != static_cast<int>(CodedOutputStream::VarintSize32(tag))) return std::nullopt;
      if (++found > 1 && !field.is_repeated()) return std::nullopt;
      if (field.is_repeated()) index_ = found - 1;
      const std::optional<int> length = Length(begin, end);
      if (!length.has_value()) return std::nullopt;
      const std::optional<int> less = path.size() == 1
                                          ? Tensor(begin, *length)
                                          : Enter(*field.message_type(), path.subspan(1), begin, *length);
      if (!less.has_value()) return std::nullopt;
      shorter += *less;
    }
    return in_.CurrentPosition() == end ? std::optional(shorter) : std::nullopt;
  }

  // In their order.
  std::vector<Edit> TakeEdits() && { return std::move(edits_); }

 private:
  // Of what follows it, up to `end` at most. Protobuf reads lengths of five bytes at most, and below 2^31.
  std::optional<int> Length(int begin, int end) {
    uint64_t length;
    if (!in_.ReadVarint64(&length)) return std::nullopt;
    const int content = in_.CurrentPosition();
    if (content - begin > 5 || content > end || length > static_cast<uint64_t>(end - content)) {
      return std::nullopt;
    }
    return static_cast<int>(length);
  }

  std::optional<int> Tensor(int begin, int length) {
    const int content = in_.CurrentPosition();
    const int end = content + length;
    if (!in_.Skip(length)) return std::nullopt;
    if (static_cast<size_t>(length) < TensorsInPlace::kLarge) return 0;
    edits_.push_back({begin, end, Varint(0), index_, content});
    return end - begin - 1;
  }

  std::optional<int> Enter(const Descriptor& type, absl::Span<const int> path, int begin, int length) {
    const int content = in_.CurrentPosition();
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

// None unless they are most of the message: what lies beside them is copied once more, and its slices stay.
std::vector<Edit> FindTensors(grpc::ByteBuffer& bytes, const Descriptor& type, absl::Span<const int> path) {
  grpc::ProtoBufferReader reader(&bytes);
  CodedInputStream in(&reader);
  TensorFinder finder(in);
  const int size = static_cast<int>(bytes.Length());
  const std::optional<int> shorter = finder.Walk(type, path, size);
  return shorter.has_value() && *shorter > size / 2 ? std::move(finder).TakeEdits() : std::vector<Edit>();
}

// What slices keep of gRPC's memory, at most. It reads into blocks of 64 KiB or less, which slices are parts
// of, with what came between and after them: whatever a client sent there. Slices that follow each other
// within 64 KiB are of two blocks at most.
int64_t BytesKept(absl::Span<const grpc::Slice> slices) {
  constexpr std::ptrdiff_t kBlock = 64 << 10;
  const uint8_t* first = nullptr;
  int64_t blocks = 0;
  for (const grpc::Slice& slice : slices) {
    if (first != nullptr && slice.begin() >= first && slice.end() - first <= kBlock) continue;
    first = slice.begin();
    blocks += 2 + (slice.size() / kBlock);
  }
  return blocks * kBlock;
}

// Whether the tensors of a parsed message are used in pieces: files and pixels are wanted in one.
bool UsedInPieces(const google::protobuf::Message& message) {
  const auto* const request =
      google::protobuf::DynamicCastToGenerated<inference::ModelInferRequest>(&message);
  return request == nullptr || (request->inputs_size() == 1 && request->inputs(0).datatype() == "FP32");
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
  if (edits.empty() || !bytes.Dump(&slices).ok() || slices.size() > size / kSmallestPiece ||
      !share.Take(BytesInPlace(), BytesKept(slices))) {
    return false;
  }
  BytePieces pieces;
  pieces.reserve(slices.size());
  for (const grpc::Slice& slice : slices) {
    pieces.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  PieceCutter cutter(pieces);
  int at = 0;
  const auto up_to = [&](int end) { return cutter.Next(static_cast<size_t>(end - std::exchange(at, end))); };
  std::map<int, BytePieces> tensors;
  std::string rest;
  const auto add_up_to = [&](int end) {
    for (const absl::string_view piece : up_to(end)) rest.append(piece.data(), piece.size());
  };
  for (const Edit& edit : edits) {
    add_up_to(edit.begin);
    rest += edit.instead;
    if (edit.index.has_value()) {
      up_to(edit.tensor_begin);
      tensors.emplace(*edit.index, up_to(edit.end));
    } else {
      up_to(edit.end);
    }
  }
  add_up_to(static_cast<int>(size));
  if (!message.ParseFromString(rest) || !UsedInPieces(message)) return false;
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
