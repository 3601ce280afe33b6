#include "text/standard_streams.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace calserve {
namespace {

// Neither sanitizers nor their functions in libc's place are ready when this runs.
__attribute__((no_sanitize("address", "thread", "undefined"))) void OpenClosedStreams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (syscall(SYS_fcntl, stream, F_GETFD) >= 0) continue;
    (void)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);  // The lowest number that is free: this one.
  }
}

// In main it would be too late: gRPC's library opens a file when it is loaded. What is here runs before that.
[[gnu::section(".preinit_array"), gnu::used]] void (*const open_closed_streams)() = &OpenClosedStreams;

}  // namespace

void KeepStandardStreams() {}  // The linker takes this file for it.

}  // namespace calserve
