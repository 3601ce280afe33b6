#include "server/base/gathered_answers.h"

#include <cassert>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

namespace calserve {
namespace {

thread_local constinit GatheredAnswers* of_this_thread = nullptr;

}  // namespace

// Room for all, or for none: where memory is short an answer must not be lost between those who could give
// it.
GatheredAnswers::GatheredAnswers(size_t most) {
  assert(of_this_thread == nullptr);
  of_this_thread = this;
  try {
    answers_.reserve(most);
  } catch (const std::bad_alloc&) {
  }
}

GatheredAnswers::~GatheredAnswers() {
  of_this_thread = nullptr;
  if (!answers_.empty()) give_(std::move(answers_));
}

bool GatheredAnswers::Keep(Answer answer, Give give) {
  if (of_this_thread == nullptr || of_this_thread->answers_.size() == of_this_thread->answers_.capacity())
    return false;
  if (of_this_thread->answers_.empty()) of_this_thread->give_ = std::move(give);
  of_this_thread->answers_.push_back(std::move(answer));
  return true;
}

}  // namespace calserve
