#include "server/config/cpu_limit.h"

#include <gtest/gtest.h>

#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

TEST(CpuMaxTest, IsQuotaOverPeriod) {
  EXPECT_EQ(ParseCpuMax("150000 100000\n"), 1.5);
  EXPECT_EQ(ParseCpuMax("50000 100000"), 0.5);
}

TEST(CpuMaxTest, IsNothingWithoutALimit) {
  for (const char* text : {"max 100000", "-1 100000", "", "100000", "100000 0", "a b", "1 2 3"}) {
    EXPECT_EQ(ParseCpuMax(text), std::nullopt) << text;
  }
}

TEST(CgroupCpuLimitTest, OfVersion2IsTheLeastOnTheWayToTheRoot) {
  TempDir root;
  root.Write("proc/self/cgroup", "0::/kubepods/pod1/app\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), std::nullopt);
  root.Write("sys/fs/cgroup/kubepods/pod1/app/cpu.max", "max 100000\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), std::nullopt);
  root.Write("sys/fs/cgroup/kubepods/cpu.max", "800000 100000\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), 8.0);
  root.Write("sys/fs/cgroup/kubepods/pod1/cpu.max", "250000 100000\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), 2.5);
}

TEST(CgroupCpuLimitTest, OfVersion2InAContainerIsAtTheMountsRoot) {
  TempDir root;
  root.Write("proc/self/cgroup", "0::/\n");
  root.Write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), 2.0);
}

TEST(CgroupCpuLimitTest, OfVersion1IsItsQuota) {
  TempDir root;
  root.Write("proc/self/cgroup", "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n1:name=systemd:/\n");
  root.Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  root.Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), std::nullopt);
  root.Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), 3.0);
  root.Write("sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us", "100000\n");
  root.Write("sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), 1.0);
}

TEST(CgroupCpuLimitTest, IsNothingWithoutCgroups) {
  TempDir root;
  EXPECT_EQ(CgroupCpuLimit(root.path()), std::nullopt);
  root.Write("proc/self/cgroup", "nonsense\n0::\n0::no/slash\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), std::nullopt);
}

TEST(AvailableCoresTest, IsAtLeastOne) { EXPECT_GE(AvailableCores(), 1); }

}  // namespace
}  // namespace calserve
