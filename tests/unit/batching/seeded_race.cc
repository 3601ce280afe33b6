// A deliberate data race: two threads write one variable without a lock. Exits 0 if nobody noticed.
#include <thread>

int main() {
  int unguarded = 0;
  std::thread other([&unguarded] { unguarded = 1; });
  unguarded = 2;
  other.join();
  return 0;
}
