#include "server/model/package_metadata.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const PackageHost kHost = {"cpu", "x86_64", {"AVX2", "AVX512"}};

PackageMetadata Package(std::string device, std::string machine, std::string isa) {
  return {{"AOTI_DEVICE_KEY", device}, {"AOTI_MACHINE", machine}, {"AOTI_CPU_ISA", isa}};
}

void ExpectRefused(const PackageMetadata& package, const std::string& package_has,
                   const std::string& host_has) {
  const absl::Status status = CheckPackageFits(package, kHost);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(package_has), HasSubstr(host_has)));
}

TEST(PackageMetadataTest, TakesWhatTheProcessorHas) {
  EXPECT_TRUE(CheckPackageFits(Package("cpu", "x86_64", "AVX2"), kHost).ok());
  EXPECT_TRUE(CheckPackageFits(Package("cpu", "x86_64", "AVX512"), kHost).ok());
}

TEST(PackageMetadataTest, TakesCodeWithoutVectorInstructions) {
  EXPECT_TRUE(CheckPackageFits(Package("cpu", "x86_64", "INVALID_VEC_ISA"), kHost).ok());
  EXPECT_TRUE(CheckPackageFits(Package("cpu", "x86_64", ""), kHost).ok());
}

TEST(PackageMetadataTest, EveryWordOfTheInstructionSetIsNeeded) {
  ExpectRefused(Package("cpu", "x86_64", "AVX512 AVX512_VNNI"), "instruction set AVX512 AVX512_VNNI",
                "x86_64 with AVX2 AVX512");
}

TEST(PackageMetadataTest, RefusesAnotherDevice) {
  ExpectRefused(Package("cuda", "x86_64", "AVX2"), "cuda", "cpu");
}

TEST(PackageMetadataTest, RefusesAnotherMachine) {
  ExpectRefused(Package("cpu", "aarch64", "ASIMD"), "aarch64", "x86_64");
}

TEST(PackageMetadataTest, AGpuPackageNeedsNoInstructionSetOfTheProcessor) {
  PackageHost host = kHost;
  host.device_type = "cuda";
  EXPECT_TRUE(CheckPackageFits(Package("cuda", "x86_64", "AMX_TILE"), host).ok());
}

TEST(PackageMetadataTest, RefusesAPackageThatDoesNotSay) { ExpectRefused({}, "AOTI_DEVICE_KEY", ""); }

}  // namespace
}  // namespace calserve
