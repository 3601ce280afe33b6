// What LibTorch's OpenMP (libgomp) finds in its environment in every program that links this, unless
// GOMP_SPINCOUNT or OMP_WAIT_POLICY is there already. libgomp's manual has both.
//
// By default a thread that helps with forward passes looks for the next piece of one 300,000 times before it
// sleeps, 10 ms on our machines: from one batch to the next, on a core that the threads need which answer the
// one and read the other. The pieces of one pass follow each other within microseconds.
//
// libgomp reads its environment when it is loaded, before main, and nothing changes it later. So the program
// begins a second time with the variable set, before the libraries' own set-up: that takes 0.2 s, a second
// start 0.03.
#include <sys/auxv.h>
#include <unistd.h>

#include <cstddef>

namespace {

// Turns of a loop with a pause: a third of a millisecond.
constexpr char kSpinCount[] = "GOMP_SPINCOUNT=10000";

// The C library is not set up yet, nor is a sanitizer: only what needs neither is called, and `begin` ends
// with "=".
[[gnu::no_sanitize("address", "undefined")]] bool BeginsWith(const char* text, const char* begin) {
  while (*begin != '\0' && *text == *begin) ++text, ++begin;
  return *begin == '\0';
}

[[gnu::no_sanitize("address", "undefined")]] void BeginAgain(int, char** arguments, char** environment) {
  size_t variables = 0;
  for (; environment[variables] != nullptr; ++variables) {
    if (BeginsWith(environment[variables], "GOMP_SPINCOUNT=")) return;
    if (BeginsWith(environment[variables], "OMP_WAIT_POLICY=")) return;
  }
  if (getauxval(AT_BASE) == 0) return;  // The loader was run, with options that would be lost.
  const auto* const program = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (program == nullptr) return;
  char** const with_spin_count = static_cast<char**>(__builtin_alloca((variables + 2) * sizeof(char*)));
  for (size_t i = 0; i < variables; ++i) with_spin_count[i] = environment[i];
  with_spin_count[variables] = const_cast<char*>(kSpinCount);
  with_spin_count[variables + 1] = nullptr;
  execve(program, arguments, with_spin_count);  // Where it fails, libgomp's default has to do.
}

// Called before the initialisers of the libraries (ELF gABI, DT_PREINIT_ARRAY).
[[gnu::section(".preinit_array"), gnu::used]] void (*const begin_again)(int, char**, char**) = BeginAgain;

}  // namespace
