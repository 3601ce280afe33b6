#include "text/loopback.h"

#include <gtest/gtest.h>

namespace calserve {
namespace {

TEST(LoopbackTest, AddressesOfThisMachineAre) {
  for (const char* address : {"127.0.0.1:8500", "127.9.8.7:1", "127.0.0.1", "localhost:8500", "[::1]:8500",
                              "[0:0:0:0:0:0:0:1]:1", "[::1]"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
}

TEST(LoopbackTest, NamesThatBeginLikeOneAreNot) {
  for (const char* address :
       {"localhost.example:8500", "127.example:8500", "127.0.0.1.example:1", "0.0.0.0:8500", "[::]:8500",
        "192.0.2.1:8500", "[::1].example:1", "", ":8500"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

}  // namespace
}  // namespace calserve
