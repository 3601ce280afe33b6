#include "server/base/status_macros.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace calserve {
namespace {

absl::Status CheckEven(int value, int* calls) {
  ++*calls;
  return value % 2 == 0 ? absl::OkStatus() : absl::InvalidArgumentError("odd");
}

absl::StatusOr<std::unique_ptr<int>> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return std::make_unique<int>(value / 2);
}

absl::StatusOr<std::string> Quarter(int value, int* calls) {
  RETURN_IF_ERROR(CheckEven(value, calls));
  ASSIGN_OR_RETURN(const std::unique_ptr<int> half, Half(value));
  std::unique_ptr<int> quarter;
  ASSIGN_OR_RETURN(quarter, Half(*half));
  return std::to_string(*quarter);
}

TEST(StatusMacrosTest, GoOnWhereThereIsNoError) {
  int calls = 0;
  EXPECT_EQ(*Quarter(8, &calls), "2");
  EXPECT_EQ(calls, 1);
}

TEST(StatusMacrosTest, ReturnTheFirstError) {
  int calls = 0;
  EXPECT_EQ(Quarter(7, &calls).status(), absl::InvalidArgumentError("odd"));
  EXPECT_EQ(Quarter(6, &calls).status(), absl::InvalidArgumentError("odd"));
}

TEST(StatusMacrosTest, AreOneStatement) {
  int calls = 0;
  const auto run = [&](bool check) -> absl::Status {
    if (check)
      RETURN_IF_ERROR(CheckEven(1, &calls));
    else
      return absl::UnknownError("no check");
    return absl::OkStatus();
  };
  EXPECT_EQ(run(true), absl::InvalidArgumentError("odd"));
  EXPECT_EQ(run(false), absl::UnknownError("no check"));
}

}  // namespace
}  // namespace calserve
