// Two threads, each with a lock of its own, count in the same variable: a race that ThreadSanitizer must
// report.
#include <thread>

#include "server/base/mutex.h"

int main() {
  int count = 0;
  const auto add = [&count](calserve::Mutex* mu) {
    for (int i = 0; i < 100'000; ++i) {
      calserve::MutexLock lock(mu);
      ++count;
    }
  };
  calserve::Mutex one, two;
  {
    std::jthread first(add, &one);
    std::jthread second(add, &two);
  }
  return count == 0;
}
