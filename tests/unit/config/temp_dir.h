#ifndef CALSERVE_TESTS_UNIT_CONFIG_TEMP_DIR_H_
#define CALSERVE_TESTS_UNIT_CONFIG_TEMP_DIR_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace calserve {

// A new directory, removed with all that is in it.
class TempDir {
 public:
  TempDir() {
    std::string pattern = ::testing::TempDir() + "calserve_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

  // Writes a file, making the folders on the way; returns its path.
  std::string Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file.string();
  }

  void Remove(const std::string& name) const {
    std::filesystem::remove_all(std::filesystem::path(path_) / name);
  }

 private:
  std::string path_;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CONFIG_TEMP_DIR_H_
