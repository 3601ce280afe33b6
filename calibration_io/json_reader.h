#ifndef CALSERVE_CALIBRATION_IO_JSON_READER_H_
#define CALSERVE_CALIBRATION_IO_JSON_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace calserve {

inline constexpr int64_t kMaxJsonBytes = int64_t{16} << 20;

// Parses a JSON text: at most kMaxJsonBytes, nested at most 16 deep, no key twice in an object.
// INVALID_ARGUMENT says where.
absl::StatusOr<nlohmann::ordered_json> ParseJson(absl::string_view text);

// Reads one JSON object strictly: what is missing, of the wrong type or unknown is an error that names the
// key by its path ("report.before.n"). The first error is kept and every later read returns a zero value, so
// that a caller reads all keys and asks once.
//
//   JsonReader reader(json, "report", &error);
//   report.n = reader.Integer("n");
//   reader.RefuseOtherKeys();
//   if (!error.ok()) return error;
class JsonReader {
 public:
  // `json` and `error` outlive this. `path` is empty for the whole document.
  JsonReader(const nlohmann::ordered_json& json, std::string path, absl::Status* error);

  int64_t Integer(absl::string_view key);
  double Number(absl::string_view key);                         // finite
  std::optional<double> OptionalNumber(absl::string_view key);  // missing or null: nullopt
  bool Bool(absl::string_view key);
  std::string String(absl::string_view key);
  // The value of an object, array or whatever it is; nullptr where it is missing or null.
  const nlohmann::ordered_json* Optional(absl::string_view key);
  // Never null: a missing key is an error and gives a JSON null.
  const nlohmann::ordered_json& Required(absl::string_view key);

  std::string PathOf(absl::string_view key) const;
  // Keeps the first error: "PATH WHAT".
  void Fail(absl::string_view path, absl::string_view what);
  void RefuseOtherKeys();

 private:
  const nlohmann::ordered_json& json_;
  const std::string path_;
  absl::Status& error_;
  std::vector<std::string> known_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_JSON_READER_H_
