#ifndef CALSERVE_SERVER_BASE_NEXT_SYMBOL_H_
#define CALSERVE_SERVER_BASE_NEXT_SYMBOL_H_

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace calserve {

// The function of that name which the next library has, libc as a rule: for one of ours that stands before
// it. Ends the program where there is none.
template <typename Function>
Function* NextFunction(const char* name) {
  auto* const next = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
  if (next != nullptr) return next;
  std::fprintf(stderr, "calserve: no library defines %s\n", name);
  std::abort();
}

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_NEXT_SYMBOL_H_
