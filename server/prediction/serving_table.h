#ifndef CALSERVE_SERVER_PREDICTION_SERVING_TABLE_H_
#define CALSERVE_SERVER_PREDICTION_SERVING_TABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/calibrator.h"
#include "server/base/mutex.h"
#include "server/batching/batcher.h"
#include "server/imaging/preprocessor.h"
#include "server/model/model.h"
#include "server/model/version_policy.h"
#include "server/prediction/tensor_names.h"
#include "server/telemetry/issued_confidences.h"
#include "server/telemetry/request_counters.h"

namespace calserve {

// One model version, loaded and ready. Immutable but for the batcher's queue and the counters.
struct ServedModel {
  std::string name;
  int64_t version = 0;
  bool binary = false;              // task: binary, else multiclass
  std::vector<std::string> labels;  // K class names
  int64_t label_bytes = 0;          // of all of them
  // Keys of the attributes that its predictions may carry.
  std::vector<std::string> attribute_keys;
  TensorNames tensor_names;
  std::string digest;                // VersionDigest: of the model file and the class names
  std::vector<int64_t> input_shape;  // of one input; FLOAT32
  int64_t input_size = 0;            // its product
  int max_batch_size = 0;
  std::optional<Preprocessor> preprocessor;  // for image input
  const std::shared_ptr<RequestCounters> counters = std::make_shared<RequestCounters>();
  std::unique_ptr<Model> model;
  std::unique_ptr<Batcher> batcher;  // Last: stopped before the model that it runs.

  int classes() const { return static_cast<int>(labels.size()); }
};

// A calibrator as it serves.
struct ServedCalibrator {
  Calibrator calibrator;
  int64_t version = 0;  // 0: plain softmax
  std::string digest;   // empty for plain softmax
};

// What one request is answered with: taken once, so that model and calibrator belong together.
struct Snapshot {
  std::shared_ptr<const ServedModel> model;
  std::shared_ptr<const ServedCalibrator> calibrator;
  std::shared_ptr<IssuedConfidences> issued;  // of that version and calibrator; never null in the table
};

// Which version a request is for: by number, by label, or the server's choice.
struct VersionChoice {
  static constexpr size_t kMaxRoutingKey = 256;

  int64_t version = 0;      // 0: not named
  absl::string_view label;  // empty: not named
  // Decides by its hash where the traffic of a model is split; empty where only the main share is of
  // interest.
  absl::string_view routing_key;
};

// Which model versions answer, and with which calibrator. Readers take a snapshot; a change never waits for
// them, and a version lives until its last request is answered. Thread-safe.
class ServingTable final {
 public:
  // In place of what was published of this version. A version that is newer than all others becomes the
  // server's choice at once, unless the model's traffic is routed by label.
  void Publish(std::shared_ptr<const ServedModel> model, std::shared_ptr<const ServedCalibrator> calibrator);
  // Swaps the calibrator of a published version; false if it is not published.
  bool SetCalibrator(const std::string& name, int64_t version,
                     std::shared_ptr<const ServedCalibrator> calibrator);
  // Of a model with a published version, until its last one is withdrawn. A label that points to a version
  // that is not published is not there for requests, and its share of the traffic goes to the other one.
  void SetRouting(const std::string& name, VersionRouting routing);
  // No request from now on gets it; those that have it keep it.
  void Withdraw(const std::string& name, int64_t version);

  // What is to be said of a choice that is not published; OK: that it is not found. Asked for nothing else,
  // with no lock held. Set before the first request.
  using WhyNotPublished = std::function<absl::Status(const std::string& name, const VersionChoice& choice)>;
  void SetWhyNotPublished(WhyNotPublished why) { why_not_published_ = std::move(why); }

  // Version 0 means the server's choice: where traffic is routed by label, the main share's version, else the
  // newest. NOT_FOUND lists what there is; UNAVAILABLE where WhyNotPublished knows that it is not ready.
  absl::StatusOr<Snapshot> Find(const std::string& name, int64_t version) const;
  // INVALID_ARGUMENT where both version and label are named, or for a routing key over 256 bytes.
  absl::StatusOr<Snapshot> Find(const std::string& name, const VersionChoice& choice) const;
  // By name, the newest version first.
  std::vector<Snapshot> List() const;
  // What predictions were issued with that calibrator since the table counts, also before it was replaced.
  // The counts of at most kMaxCounted calibrators are kept.
  ConfidenceSums Issued(const std::string& name, int64_t version, int64_t calibrator_version) const;

 private:
  static constexpr size_t kMaxCounted = 1024;
  struct Entry {
    std::map<int64_t, Snapshot, std::greater<>> versions;
    VersionRouting routing;
  };

  absl::StatusOr<Snapshot> FindPublished(const std::string& name, const VersionChoice& choice) const;
  static const Snapshot* OfLabel(const Entry& entry, const std::string& label);
  // The server's choice.
  static const Snapshot& Route(const std::string& name, const Entry& entry, absl::string_view routing_key);
  std::shared_ptr<IssuedConfidences> CounterOf(const std::string& name, int64_t version,
                                               int64_t calibrator_version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string Known() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  WhyNotPublished why_not_published_;  // Constant once requests come.
  mutable Mutex mu_;
  // A model is there as long as a version of it is.
  std::map<std::string, Entry> models_ ABSL_GUARDED_BY(mu_);
  // By model, version and calibrator version.
  std::map<std::tuple<std::string, int64_t, int64_t>, std::shared_ptr<IssuedConfidences>> issued_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_SERVING_TABLE_H_
