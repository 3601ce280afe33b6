#ifndef CALSERVE_SERVER_MONITORING_FOLD_CODEC_H_
#define CALSERVE_SERVER_MONITORING_FOLD_CODEC_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/monitoring/monitor_key.h"

namespace calserve {

// Writes the fields of a checkpoint, little-endian: integers in 8 bytes, texts as their length and bytes, and
// at the end a checksum over all before it, so that a torn or altered checkpoint is told from a sound one.
class FoldWriter final {
 public:
  void Integer(int64_t value);
  void Text(absl::string_view text);
  void Key(const MonitorKey& key);
  std::string Finish() &&;

 private:
  std::string bytes_;
};

// Reads what FoldWriter wrote, in the same order; DATA_LOSS where the bytes are not that. Views into the
// bytes.
class FoldReader final {
 public:
  explicit FoldReader(absl::string_view bytes);
  absl::StatusOr<int64_t> Integer();
  absl::StatusOr<absl::string_view> Text();
  absl::StatusOr<MonitorKey> Key();
  // Everything was read.
  absl::Status Finish() const;

 private:
  absl::string_view rest_;
  bool sound_ = false;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_FOLD_CODEC_H_
