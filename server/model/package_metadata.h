#ifndef CALSERVE_SERVER_MODEL_PACKAGE_METADATA_H_
#define CALSERVE_SERVER_MODEL_PACKAGE_METADATA_H_

#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"

namespace calserve {

// The name that torch._inductor.aoti_compile_and_package gives a model in its package.
inline constexpr char kModelInPackage[] = "model";

// What an AOTInductor package says of itself: AOTI_DEVICE_KEY "cpu", AOTI_MACHINE "x86_64", AOTI_CPU_ISA
// "AVX2" or "AVX512 AVX512_VNNI" (every word is needed).
using PackageMetadata = std::unordered_map<std::string, std::string>;

// The machine that is to run a package.
struct PackageHost {
  std::string device_type;                    // "cpu", "cuda"
  std::string machine;                        // as uname -m says
  std::vector<std::string> instruction_sets;  // in the words of AOTI_CPU_ISA

  // This machine, running on a device of that type.
  static PackageHost ThisOne(std::string device_type);
};

// INVALID_ARGUMENT naming both, if `metadata` is of a package for another device, machine or instruction set
// than `host` has. Such a package is native code: run anyway, it dies of an illegal instruction or worse.
absl::Status CheckPackageFits(const PackageMetadata& metadata, const PackageHost& host);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_PACKAGE_METADATA_H_
