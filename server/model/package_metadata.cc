#include "server/model/package_metadata.h"

#include <sys/utsname.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace calserve {
namespace {

// Inductor's names of instruction sets (torch/_inductor/cpu_vec_isa.py, upper case) that this processor has.
std::vector<std::string> InstructionSets() {
  std::vector<std::string> sets;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets.push_back("AVX2");
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    sets.push_back("AVX512");
  }
  if (__builtin_cpu_supports("avx512vnni")) sets.push_back("AVX512_VNNI");
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kAmxTile = 1u << 24;  // CPUID leaf 7, EDX; no __builtin_cpu_supports in our compilers.
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAmxTile) != 0)
    sets.push_back("AMX_TILE");
#elif defined(__aarch64__)
  sets.push_back("ASIMD");
#endif
  return sets;
}

// The value of `key`, empty where the package does not say.
std::string Value(const PackageMetadata& metadata, const std::string& key) {
  const auto it = metadata.find(key);
  return it == metadata.end() ? std::string() : it->second;
}

absl::Status Mismatch(absl::string_view what, absl::string_view package, absl::string_view host) {
  return absl::InvalidArgumentError(
      absl::StrCat("the package was compiled for ", what, " ", package, "; it is to run on ", host));
}

}  // namespace

PackageHost PackageHost::ThisOne(std::string device_type) {
  utsname names{};
  uname(&names);
  return {std::move(device_type), names.machine, InstructionSets()};
}

absl::Status CheckPackageFits(const PackageMetadata& metadata, const PackageHost& host) {
  const std::string device = Value(metadata, "AOTI_DEVICE_KEY");
  if (device.empty())
    return absl::InvalidArgumentError("the package does not name its device (AOTI_DEVICE_KEY)");
  if (device != host.device_type) return Mismatch("device", device, host.device_type);
  const std::string machine = Value(metadata, "AOTI_MACHINE");
  if (!machine.empty() && machine != host.machine) return Mismatch("machine", machine, host.machine);
  if (device != "cpu") return absl::OkStatus();
  const std::string isa = Value(metadata, "AOTI_CPU_ISA");
  for (absl::string_view word : absl::StrSplit(isa, ' ', absl::SkipEmpty())) {
    if (word == "INVALID_VEC_ISA") continue;  // Inductor's name for code without vector instructions.
    if (std::count(host.instruction_sets.begin(), host.instruction_sets.end(), word) == 0) {
      return Mismatch("instruction set", isa,
                      absl::StrCat(host.machine, " with ", absl::StrJoin(host.instruction_sets, " ")));
    }
  }
  return absl::OkStatus();
}

}  // namespace calserve
