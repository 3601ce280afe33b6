#include "server/base/byte_budget.h"

namespace calserve {

ByteBudget& ReceivedBytes() {
  static auto& budget = *new ByteBudget(int64_t{1} << 30);  // never destroyed: calls may outlive main
  return budget;
}

ByteBudget& UnsentBytes() {
  static auto& budget = *new ByteBudget(int64_t{512} << 20);
  return budget;
}

}  // namespace calserve
