// The library inside a .pt2 that does harm where it is loaded: as one does that was built for another
// processor, or whose own libraries do not come back.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

__attribute__((constructor)) void BeLoaded() {
  std::cerr << "faulty package: loaded" << std::endl;
#if defined(CRASHES)
  raise(SIGSEGV);
#elif defined(HANGS)
  while (true) pause();
#elif defined(EXITS)
  _exit(EXITS);
#endif
}
