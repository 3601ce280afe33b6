#include "server/config/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LabelsTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<std::string>> Read(const std::string& text) {
    return ReadLabels(dir_.Write("labels.txt", text));
  }
  std::string ErrorOf(const std::string& text) { return std::string(Read(text).status().message()); }

  TempDir dir_;
};

TEST_F(LabelsTest, AreTheLinesInOrder) {
  EXPECT_THAT(*Read("cat\nhot dog\nbird\n"), ElementsAre("cat", "hot dog", "bird"));
  EXPECT_THAT(*Read("cat\r\ndog\r\n"), ElementsAre("cat", "dog"));
  EXPECT_THAT(*Read("cat\ndog"), ElementsAre("cat", "dog"));
  EXPECT_THAT(*Read("\xEF\xBB\xBF"
                    "cat\nchien du caf\xC3\xA9\n"),
              ElementsAre("cat", "chien du caf\xC3\xA9"));
}

TEST_F(LabelsTest, WhatIsWrongNamesTheLine) {
  EXPECT_THAT(ErrorOf("cat\n\ndog\n"), HasSubstr("labels.txt:2: an empty line"));
  EXPECT_THAT(ErrorOf("cat\ndog\n\n"), HasSubstr("labels.txt:3: an empty line"));
  EXPECT_THAT(ErrorOf("cat\ndog\ncat\n"), HasSubstr("labels.txt:3: \"cat\" is already on line 1"));
  EXPECT_THAT(ErrorOf("cat\ndog \n"), HasSubstr("labels.txt:2: spaces"));
  EXPECT_THAT(ErrorOf("cat\ncaf\xE9\n"), HasSubstr("labels.txt:2: must be UTF-8; has the byte 0xe9"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("must have at least 2 labels; has 0"));
  EXPECT_THAT(ErrorOf("cat\n"), HasSubstr("must have at least 2 labels; has 1"));
}

}  // namespace
}  // namespace calserve
