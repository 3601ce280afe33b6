#ifndef CALSERVE_SERVER_FEEDBACK_CLASS_NAMES_H_
#define CALSERVE_SERVER_FEEDBACK_CLASS_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/mutex.h"
#include "server/feedback/store.h"

namespace calserve {

// What the classes of every model version that ever served were called, also of those that no longer do: a
// label may come days after its prediction, and "cat" means what it meant then. Kept in the store by the
// digest that tickets carry (TicketContent::model_digest), a row for each; what is asked for is remembered.
// Thread-safe.
class ClassNames final {
 public:
  // `store` outlives it.
  explicit ClassNames(Store& store) : store_(store) {}

  // Waits for the store; its error is the result.
  absl::Status Keep(const std::string& model, const std::string& digest,
                    const std::vector<std::string>& labels);
  // The index of a class of the version that has this digest. NOT_FOUND for a name that it does not have, or
  // where nothing with this digest ever served here; UNAVAILABLE while the store cannot be read.
  absl::StatusOr<int32_t> Find(const std::string& model, const std::string& digest, const std::string& label);

 private:
  using Key = std::pair<std::string, std::string>;  // model, digest
  using Indices = absl::flat_hash_map<std::string, int32_t>;

  absl::StatusOr<std::shared_ptr<const Indices>> Of(const Key& key);

  Store& store_;
  Mutex mu_;  // Never held while waiting for the store.
  std::map<Key, std::shared_ptr<const Indices>> remembered_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_CLASS_NAMES_H_
