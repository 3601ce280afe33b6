#include "tests/end_to_end/persistent_labeller.h"

#include <algorithm>
#include <utility>

namespace calserve::e2e {
namespace {

constexpr size_t kInFlight = 4;                         // batches sent and not acknowledged
constexpr int kMaxBatch = 16;                           // labels
constexpr int kRepeatOneIn = 10;                        // batches that were acknowledged already
constexpr absl::Duration kLongest = absl::Minutes(10);  // of one stream

}  // namespace

void Whereabouts::MovedTo(const std::string& address) {
  MutexLock lock(&mu_);
  place_.address = address;
  ++place_.life;
  moved_.SignalAll();
}

void Whereabouts::GiveUp() {
  MutexLock lock(&mu_);
  given_up_ = true;
  moved_.SignalAll();
}

std::optional<Whereabouts::Place> Whereabouts::WaitForLifeAfter(int life) const {
  MutexLock lock(&mu_);
  while (place_.life <= life && !given_up_) moved_.Wait(&mu_);
  if (given_up_) return std::nullopt;
  return place_;
}

PersistentLabeller::PersistentLabeller(Whereabouts& whereabouts, std::vector<Labelled> predictions, int lives,
                                       int seed)
    : whereabouts_(whereabouts),
      predictions_(std::move(predictions)),
      lives_(lives),
      random_(seed),
      thread_([this] { Run(); }) {}

PersistentLabeller::~PersistentLabeller() {
  finish_ = true;
  if (thread_.joinable()) whereabouts_.GiveUp();
}

PersistentLabeller::Record PersistentLabeller::Finish() {
  finish_ = true;
  thread_.join();
  return record_;
}

void PersistentLabeller::Run() {
  std::optional<Whereabouts::Place> place = whereabouts_.WaitForLifeAfter(0);
  while (place.has_value() && !RunOneLife(*place)) place = whereabouts_.WaitForLifeAfter(place->life);
}

bool PersistentLabeller::RunOneLife(const Whereabouts::Place& place) {
  const Api api(place.address, kLongest);
  const auto stream = api.StreamFeedback();
  std::deque<Batch> in_flight;
  bool broken = false;
  while (!broken) {
    while (in_flight.size() < kInFlight) {
      std::optional<Batch> batch = NextBatch(place.life);
      if (!batch.has_value()) break;
      in_flight.push_back(*std::move(batch));
      v1::StreamFeedbackRequest request;
      for (const Labelled* labelled : in_flight.back().items) {
        *request.add_items() = Item(labelled->ticket, labelled->label);
      }
      if (!stream->Write(request)) break;  // Read below says so too.
    }
    if (in_flight.empty()) return true;
    v1::StreamFeedbackResponse response;
    broken = !stream->Read(&response);
    if (!broken) {
      Acknowledge(in_flight.front(), response);
      in_flight.pop_front();
    }
  }
  for (auto batch = in_flight.rbegin(); batch != in_flight.rend(); ++batch) {
    batch->cut_off_in_life = place.life;
    resend_.push_front(std::move(*batch));
  }
  return false;
}

std::optional<PersistentLabeller::Batch> PersistentLabeller::NextBatch(int life) {
  if (!resend_.empty()) {
    Batch batch = std::move(resend_.front());
    resend_.pop_front();
    record_.sent_again += static_cast<int64_t>(batch.items.size());
    return batch;
  }
  if (finish_) return std::nullopt;
  const size_t end = std::min(predictions_.size(), predictions_.size() * life / lives_);
  const int size = std::uniform_int_distribution<int>(1, kMaxBatch)(random_);
  const bool repeat = !acknowledged_.empty() && (next_ == end || random_() % kRepeatOneIn == 0);
  if (!repeat && next_ == end) return std::nullopt;  // Its share of this life is in flight.
  Batch batch;
  for (int i = 0; i < size; ++i) {
    if (repeat) {
      batch.items.push_back(acknowledged_[random_() % acknowledged_.size()]);
    } else if (next_ < end) {
      batch.items.push_back(&predictions_[next_++]);
    }
  }
  return batch;
}

void PersistentLabeller::Acknowledge(const Batch& batch, const v1::StreamFeedbackResponse& response) {
  if (response.results_size() != static_cast<int>(batch.items.size())) {
    record_.faults.push_back("results of another number than items");
    return;
  }
  for (int i = 0; i < response.results_size(); ++i) {
    const v1::FeedbackResult& result = response.results(i);
    const std::string& id = batch.items[i]->prediction_id;
    if (result.outcome() == v1::FEEDBACK_OUTCOME_REJECTED || result.prediction_id() != id) {
      record_.faults.push_back(id + ": " + result.ShortDebugString());
    }
    const bool first = record_.acknowledged.insert(id).second;
    if (first) acknowledged_.push_back(batch.items[i]);
    if (result.outcome() == v1::FEEDBACK_OUTCOME_ACCEPTED && !first) {
      record_.faults.push_back(id + " was acknowledged before and is accepted again: it was lost");
    }
    if (result.outcome() == v1::FEEDBACK_OUTCOME_DUPLICATE && first) {
      if (batch.cut_off_in_life > 0) {
        record_.lives_that_stored_unacknowledged.insert(batch.cut_off_in_life);
      } else {
        record_.faults.push_back(id + " is new and called a duplicate");
      }
    }
  }
  ++acknowledgements_;
}

}  // namespace calserve::e2e
