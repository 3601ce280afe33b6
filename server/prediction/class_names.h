#ifndef CALSERVE_SERVER_PREDICTION_CLASS_NAMES_H_
#define CALSERVE_SERVER_PREDICTION_CLASS_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "server/base/mutex.h"

namespace calserve {

// The class names of every model version that this process has served, also of those that it no longer
// serves: a label may come days after its prediction, and "cat" means what it meant then. The oldest go
// beyond kMaxRemembered. Thread-safe.
class ClassNames final {
 public:
  static constexpr size_t kMaxRemembered = 256;

  // `digest` is ServedModel's.
  void Remember(const std::string& model, const std::string& digest, const std::vector<std::string>& labels);
  // The index of a class of the version that has this digest. NOT_FOUND for a name that it does not have, or
  // where that version's names are not known here: then only the index can be used.
  absl::StatusOr<int32_t> Find(const std::string& model, const std::string& digest,
                               const std::string& label) const;

 private:
  using Key = std::pair<std::string, std::string>;  // model, digest

  mutable Mutex mu_;
  std::map<Key, absl::flat_hash_map<std::string, int32_t>> known_ ABSL_GUARDED_BY(mu_);
  std::deque<Key> oldest_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_CLASS_NAMES_H_
