#ifndef CALSERVE_SERVER_BASE_GATHERED_ANSWERS_H_
#define CALSERVE_SERVER_BASE_GATHERED_ANSWERS_H_

#include <cstddef>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "server/base/gathered_writes.h"

namespace calserve {

// While one lives, the answers that its thread keeps wait; its end has them given together, by whoever knows
// where: one hand-over to another thread for the answers of a batch, instead of one or more each. What the
// thread sends until then is gathered, too. For a short piece of work on one thread; they do not nest.
class GatheredAnswers final {
 public:
  // Gives one answer; called, and destroyed, on any thread. Must not throw.
  using Answer = absl::AnyInvocable<void()>;
  // Gives answers in their order, each once: before it returns, or soon on a thread of its choice.
  using Give = absl::AnyInvocable<void(std::vector<Answer>)>;

  // At most `most` are kept; none where there is no memory for so many.
  explicit GatheredAnswers(size_t most);
  ~GatheredAnswers();
  GatheredAnswers(const GatheredAnswers&) = delete;
  GatheredAnswers& operator=(const GatheredAnswers&) = delete;

  // Keeps `answer` until the calling thread's GatheredAnswers ends; all that it keeps are given by the `give`
  // that came first. False, and nothing is kept or called, where none lives on this thread or it is full.
  static bool Keep(Answer answer, Give give);

 private:
  GatheredWrites writes_;
  std::vector<Answer> answers_;
  Give give_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_GATHERED_ANSWERS_H_
