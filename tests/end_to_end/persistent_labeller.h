#ifndef CALSERVE_TESTS_END_TO_END_PERSISTENT_LABELLER_H_
#define CALSERVE_TESTS_END_TO_END_PERSISTENT_LABELLER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"
#include "tests/end_to_end/scenario.h"

namespace calserve::e2e {

// Where the server that is killed again and again is at present. Thread-safe.
class Whereabouts {
 public:
  struct Place {
    std::string address;
    int life = 0;  // which start of the server, from 1
  };
  void MovedTo(const std::string& address);
  // There will be no other life; for a test that has failed.
  void GiveUp();
  // Waits for a life after `life`; nullopt if there will be none.
  std::optional<Place> WaitForLifeAfter(int life) const;

 private:
  mutable Mutex mu_;
  mutable CondVar moved_;
  Place place_ ABSL_GUARDED_BY(mu_);
  bool given_up_ ABSL_GUARDED_BY(mu_) = false;
};

// A client that streams labels and gives none up: what was sent and not acknowledged when the server died is
// sent again to its next life, until it is acknowledged; now and then it also sends again what was. On a
// thread of its own.
class PersistentLabeller {
 public:
  // What became of its labels. Every id is of one that was acknowledged as ACCEPTED or DUPLICATE.
  struct Record {
    std::set<std::string> acknowledged;
    int64_t sent_again = 0;  // items whose acknowledgement a death had cut off
    // The lives whose end cut off the acknowledgement of a label that turned out to be stored.
    std::set<int> lives_that_stored_unacknowledged;
    std::vector<std::string> faults;  // answers that must not be
  };

  // Labels `predictions` in their order, the k-th `lives`-th of them in the k-th life of the server, and all
  // of them after Finish.
  PersistentLabeller(Whereabouts& whereabouts, std::vector<Labelled> predictions, int lives, int seed);
  ~PersistentLabeller();

  // Batches acknowledged so far.
  int64_t acknowledgements() const { return acknowledgements_; }
  // Sends what was not acknowledged and nothing new, waits for all of it and returns the record. The server
  // stays up meanwhile.
  Record Finish();

 private:
  struct Batch {
    std::vector<const Labelled*> items;
    int cut_off_in_life = 0;  // sent in that life without an answer; 0: never
  };

  void Run();
  // Until all is done, or the stream breaks; true for the former.
  bool RunOneLife(const Whereabouts::Place& place);
  std::optional<Batch> NextBatch(int life);
  void Acknowledge(const Batch& batch, const v1::StreamFeedbackResponse& response);

  Whereabouts& whereabouts_;
  const std::vector<Labelled> predictions_;
  const int lives_;
  std::atomic<bool> finish_{false};
  std::atomic<int64_t> acknowledgements_{0};
  // Of the thread:
  std::mt19937 random_;
  size_t next_ = 0;                            // of predictions_, not yet sent
  std::vector<const Labelled*> acknowledged_;  // to be repeated
  std::deque<Batch> resend_;                   // cut off
  Record record_;
  std::jthread thread_;  // Last: it uses the members above.
};

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_PERSISTENT_LABELLER_H_
