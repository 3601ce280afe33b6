#include "server/config/cpu_limit.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/config/text_file.h"

namespace calserve {
namespace {

constexpr char kMount[] = "/sys/fs/cgroup";

std::string ReadOrEmpty(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

// "/a/b" -> "/a/b", "/a", "": a limit of any of them holds.
std::vector<std::string> WithParents(std::string path) {
  std::vector<std::string> paths;
  while (!path.empty() && path != "/") {
    paths.push_back(path);
    path.resize(path.rfind('/'));
  }
  paths.push_back("");
  return paths;
}

}  // namespace

std::optional<double> ParseCpuMax(absl::string_view text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  double quota = 0, period = 0;
  if (words.size() != 2 || !absl::SimpleAtod(words[0], &quota) || !absl::SimpleAtod(words[1], &period)) {
    return std::nullopt;
  }
  if (!(quota > 0 && period > 0)) return std::nullopt;  // v1 says -1 for no limit
  return quota / period;
}

std::optional<double> CgroupCpuLimit(const std::string& root) {
  std::optional<double> least;
  const auto add = [&](std::optional<double> limit) {
    if (limit && (!least || *limit < *least)) least = limit;
  };
  // A line a hierarchy: "0::/path" is v2's, "4:cpu,cpuacct:/path" one of v1's. In a container the path may be
  // the host's, which is not there; the mount's root is then the container's own.
  for (absl::string_view line : absl::StrSplit(ReadOrEmpty(absl::StrCat(root, "/proc/self/cgroup")), '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3 || fields[2].empty() || fields[2][0] != '/') continue;
    const std::vector<absl::string_view> controllers = absl::StrSplit(fields[1], ',');
    for (const std::string& path : WithParents(fields[2])) {
      if (fields[1].empty()) {
        add(ParseCpuMax(ReadOrEmpty(absl::StrCat(root, kMount, path, "/cpu.max"))));
      } else if (absl::c_linear_search(controllers, "cpu")) {
        const std::string folder = absl::StrCat(root, kMount, "/cpu", path);
        add(ParseCpuMax(absl::StrCat(ReadOrEmpty(folder + "/cpu.cfs_quota_us"), " ",
                                     ReadOrEmpty(folder + "/cpu.cfs_period_us"))));
      }
    }
  }
  return least;
}

int AvailableCores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t affinity;
  if (sched_getaffinity(0, sizeof(affinity), &affinity) == 0) cores = CPU_COUNT(&affinity);
  if (const std::optional<double> limit = CgroupCpuLimit()) {
    cores = std::min(cores, static_cast<int>(std::min(std::floor(*limit), 1e6)));
  }
  return std::max(cores, 1);
}

}  // namespace calserve
