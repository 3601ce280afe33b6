#ifndef CALSERVE_SERVER_BASE_NEXT_DEFINITION_H_
#define CALSERVE_SERVER_BASE_NEXT_DEFINITION_H_

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace calserve {

// The library's own function `name`, for one that this program defines in its place. Ends the process where
// no library has it.
template <typename Function>
Function* NextDefinition(const char* name) {
  auto* const next = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
  if (next != nullptr) return next;
  std::fprintf(stderr, "calserve: no library defines %s\n", name);
  std::abort();
}

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_NEXT_DEFINITION_H_
