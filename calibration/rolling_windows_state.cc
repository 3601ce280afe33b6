// The stored form of RollingWindows, little-endian:
//   magic, version; bins, max_labels, the specs; time of the newest label; the ring: position of its first
//   label, count, labels, whether they have extras, and those; each window: where it starts in the ring, or
//   its decaying sums; a checksum of all that.
// Integer sums are not stored: the labels give them again. Every version begins with magic and version and
// ends with the checksum.

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/byte_io.h"
#include "calibration/rolling_windows.h"

namespace calserve {
namespace {

constexpr uint32_t kMagic = 0x57534c43;  // "CLSW"
constexpr uint32_t kVersion = 2;
constexpr size_t kChecksumBytes = 8;
constexpr size_t kLabelBytes = 32;
constexpr size_t kExtrasBytes = 8;

absl::Status Damaged(const std::string& what) {
  return absl::DataLossError(absl::StrCat("stored windows are damaged: ", what));
}

void WriteSpec(const WindowSpec& spec, ByteWriter* writer) {
  writer->Bytes(spec.name);
  writer->U32(static_cast<uint32_t>(spec.kind));
  writer->I64(spec.count);
  writer->I64(spec.micros);
}

WindowSpec ReadSpec(ByteReader* reader) {
  WindowSpec spec;
  spec.name = std::string(reader->Bytes());
  spec.kind = static_cast<WindowSpec::Kind>(reader->U32());
  spec.count = reader->I64();
  spec.micros = reader->I64();
  return spec;
}

void WriteScore(const PackedScore& score, ByteWriter* writer) {
  writer->F32(score.signed_confidence);
  writer->U32(score.nll);
  writer->U32(score.brier);
}

void WriteLabels(absl::Span<const PackedLabel> labels, ByteWriter* writer) {
  for (const PackedLabel& label : labels) {
    writer->I64(label.time_micros);
    WriteScore(label.served, writer);
    WriteScore(label.uncalibrated, writer);
  }
}

PackedScore ReadScore(ByteReader* reader) {
  PackedScore score;
  score.signed_confidence = reader->F32();
  score.nll = reader->U32();
  score.brier = reader->U32();
  return score;
}

void WriteSums(const MetricsSums& sums, ByteWriter* writer) {
  for (const MetricsSums::Bin& bin : sums.bins) {
    writer->F64(bin.weight);
    writer->F64(bin.confidence);
    writer->F64(bin.correct);
  }
  writer->F64(sums.squared_weights);
  writer->F64(sums.weight_with_logits);
  writer->F64(sums.nll);
  writer->F64(sums.brier);
}

MetricsSums ReadSums(int bins, ByteReader* reader) {
  MetricsSums sums;
  for (int b = 0; b < bins; ++b) {
    MetricsSums::Bin bin;
    bin.weight = reader->F64();
    bin.confidence = reader->F64();
    bin.correct = reader->F64();
    sums.bins.push_back(bin);
  }
  sums.squared_weights = reader->F64();
  sums.weight_with_logits = reader->F64();
  sums.nll = reader->F64();
  sums.brier = reader->F64();
  return sums;
}

bool IsConfidence(float signed_confidence) { return std::abs(signed_confidence) <= 1; }

}  // namespace

WindowsState RollingWindows::State() const {
  WindowsState state;
  ByteWriter before;
  before.U32(kMagic);
  before.U32(kVersion);
  before.U32(static_cast<uint32_t>(edges_.bins()));
  before.I64(max_labels_);
  before.U32(static_cast<uint32_t>(specs_.size()));
  for (const WindowSpec& spec : specs_) WriteSpec(spec, &before);
  before.I64(last_micros_);
  before.I64(ring_.first());
  before.I64(ring_.size());
  state.before_ = std::move(before).Take();

  state.labels_ = ring_.Labels();

  ByteWriter after;
  for (const Window& window : windows_) {
    if (const RingWindow* ring_window = std::get_if<RingWindow>(&window)) {
      after.I64(ring_window->start());
      after.I64(ring_window->truncated_micros());
    } else {
      const DecayWindow::Sums& sums = std::get<DecayWindow>(window).sums();
      after.I64(sums.reference_micros);
      WriteSums(sums.served, &after);
      WriteSums(sums.uncalibrated, &after);
    }
  }
  state.after_ = std::move(after).Take();
  return state;
}

std::string WindowsState::Serialize() const {
  ByteWriter writer;
  const size_t labels = labels_.older.size() + labels_.newer.size();
  const size_t extras = labels_.extras != nullptr ? labels * kExtrasBytes : 0;
  writer.Reserve(before_.size() + labels * kLabelBytes + sizeof(uint32_t) + extras + after_.size() +
                 kChecksumBytes);
  writer.Append(before_);
  WriteLabels(labels_.older, &writer);
  WriteLabels(labels_.newer, &writer);
  writer.U32(labels_.extras != nullptr ? 1 : 0);
  for (const uint64_t extras : labels_.older_extras) writer.U64(extras);
  for (const uint64_t extras : labels_.newer_extras) writer.U64(extras);
  writer.Append(after_);
  writer.U64(Checksum(writer.bytes()));
  return std::move(writer).Take();
}

int64_t RollingWindows::max_serialized_bytes() const {
  const WindowsState state = State();
  return static_cast<int64_t>(state.before_.size() + sizeof(uint32_t) + state.after_.size() +
                              kChecksumBytes) +
         ring_.bound() * static_cast<int64_t>(kLabelBytes + kExtrasBytes);
}

absl::StatusOr<std::unique_ptr<RollingWindows>> RollingWindows::Deserialize(absl::string_view bytes,
                                                                            std::vector<WindowSpec> specs,
                                                                            int bins, int64_t max_labels) {
  absl::StatusOr<std::unique_ptr<RollingWindows>> windows = Create(std::move(specs), bins, max_labels);
  if (!windows.ok()) return windows;
  if (bytes.size() < kChecksumBytes) return Damaged(absl::StrCat("only ", bytes.size(), " bytes"));
  const absl::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (ByteReader(bytes.substr(body.size())).U64() != Checksum(body)) return Damaged("the checksum differs");
  ByteReader reader(body);
  if (reader.U32() != kMagic) return Damaged("they do not begin as such");
  if (const uint32_t version = reader.U32(); version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("stored windows are of version ", version, "; this program reads ", kVersion));
  }
  if (absl::Status status = (*windows)->Restore(&reader); !status.ok()) return status;
  return windows;
}

absl::Status RollingWindows::Restore(ByteReader* reader) {
  if (const uint32_t bins = reader->U32(); bins != static_cast<uint32_t>(edges_.bins())) {
    return absl::FailedPreconditionError(
        absl::StrCat("stored windows have ", bins, " bins; configured are ", edges_.bins()));
  }
  if (const int64_t max_labels = reader->I64(); max_labels != max_labels_) {
    return absl::FailedPreconditionError(
        absl::StrCat("stored windows have max_labels ", max_labels, "; configured is ", max_labels_));
  }
  bool same = reader->U32() == specs_.size();
  for (size_t i = 0; same && i < specs_.size(); ++i) same = ReadSpec(reader) == specs_[i];
  if (!same) return absl::FailedPreconditionError("stored windows are not those configured");

  last_micros_ = reader->I64();
  const int64_t first = reader->I64();
  const int64_t count = reader->I64();
  if (last_micros_ < 0 || first < 0 || count < 0 || count > ring_.bound() ||
      static_cast<size_t>(count) > reader->left() / kLabelBytes) {
    return Damaged(absl::StrCat(count, " labels from position ", first));
  }
  ring_ = LabelRing(ring_.bound(), first);
  std::vector<PackedLabel> labels;
  labels.reserve(static_cast<size_t>(count));
  int64_t previous = 0;
  for (int64_t i = 0; i < count; ++i) {
    PackedLabel label;
    label.time_micros = reader->I64();
    label.served = ReadScore(reader);
    label.uncalibrated = ReadScore(reader);
    if (label.time_micros < previous || label.time_micros > last_micros_ ||
        !IsConfidence(label.served.signed_confidence) ||
        !IsConfidence(label.uncalibrated.signed_confidence)) {
      return Damaged(absl::StrCat("label ", i));
    }
    previous = label.time_micros;
    labels.push_back(label);
  }
  const bool extras = reader->U32() != 0;
  if (extras && labels.size() > reader->left() / kExtrasBytes) return Damaged("extras are missing");
  for (const PackedLabel& label : labels) {
    ring_.PushBack(label, extras ? LabelExtras::FromBits(reader->U64()) : LabelExtras());
  }
  for (Window& window : windows_) {
    if (RingWindow* ring_window = std::get_if<RingWindow>(&window)) {
      const int64_t start = reader->I64();
      const int64_t truncated_micros = reader->I64();
      if (start < ring_.first() || start > ring_.end())
        return Damaged(absl::StrCat("a window from position ", start));
      ring_window->Restore(start, truncated_micros, ring_, edges_);
    } else {
      DecayWindow::Sums sums;
      sums.reference_micros = reader->I64();
      sums.served = ReadSums(edges_.bins(), reader);
      sums.uncalibrated = ReadSums(edges_.bins(), reader);
      std::get<DecayWindow>(window).Restore(std::move(sums));
    }
  }
  if (!reader->ok() || reader->left() != 0) return Damaged("their length is wrong");
  return absl::OkStatus();
}

}  // namespace calserve
