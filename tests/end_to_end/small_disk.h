#ifndef CALSERVE_TESTS_END_TO_END_SMALL_DISK_H_
#define CALSERVE_TESTS_END_TO_END_SMALL_DISK_H_

#include <sys/mount.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {

// A file system of a few bytes in memory, unmounted on destruction. Takes root: where the test is not, it is
// not mounted, and the test skips.
class SmallDisk {
 public:
  explicit SmallDisk(int64_t bytes) {
    mounted_ = mount("tmpfs", path().c_str(), "tmpfs", 0, Options(bytes).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& path() const { return mount_point_.path(); }

  // Takes all the space that is left.
  void Fill() {
    std::ofstream file(filler(), std::ios::binary | std::ios::app);
    const std::string page(4096, 'x');
    while (file.write(page.data(), page.size()).flush()) {
    }
  }
  void Free() { std::filesystem::remove(filler()); }
  void Grow(int64_t bytes) { mount(nullptr, path().c_str(), nullptr, MS_REMOUNT, Options(bytes).c_str()); }
  void MakeReadOnly() { mount(nullptr, path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr); }

 private:
  static std::string Options(int64_t bytes) { return "size=" + std::to_string(bytes) + ",mode=0700"; }
  std::string filler() const { return mount_point_ / "filler"; }

  TempDir mount_point_;
  bool mounted_ = false;
};

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_SMALL_DISK_H_
