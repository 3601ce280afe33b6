#include "server/base/before_waiting.h"

#include <utility>

namespace calserve {
namespace {

thread_local constinit WaitingThread* this_thread = nullptr;

}  // namespace

bool RunBeforeWaiting(absl::AnyInvocable<void()> work) {
  if (this_thread == nullptr) return false;
  this_thread->work_.push_back(std::move(work));
  return true;
}

WaitingThread::WaitingThread() { this_thread = this; }
WaitingThread::~WaitingThread() { this_thread = nullptr; }

void WaitingThread::Run() {
  std::vector<absl::AnyInvocable<void()>> work;
  work.swap(work_);
  for (auto& one : work) one();
}

}  // namespace calserve
