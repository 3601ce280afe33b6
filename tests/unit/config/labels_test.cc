#include "server/config/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LabelsTest : public ::testing::Test {
 protected:
  std::vector<std::string> Read(const std::string& text) {
    std::vector<absl::Status> problems;
    std::vector<std::string> labels = ReadLabels(dir_.Write("labels.txt", text), &problems);
    said_.clear();
    for (const absl::Status& problem : problems) said_.emplace_back(problem.message());
    return labels;
  }
  const std::vector<std::string>& Said(const std::string& text) {
    Read(text);
    return said_;
  }

  TempDir dir_;
  std::vector<std::string> said_;
};

TEST_F(LabelsTest, AreTheLinesInOrder) {
  EXPECT_THAT(Read("cat\nhot dog\nbird\n"), ElementsAre("cat", "hot dog", "bird"));
  EXPECT_THAT(Read("cat\r\ndog\r\n"), ElementsAre("cat", "dog"));
  EXPECT_THAT(Read("cat\ndog"), ElementsAre("cat", "dog"));
  EXPECT_THAT(Read("\xEF\xBB\xBF"
                   "cat\nchien du caf\xC3\xA9\n"),
              ElementsAre("cat", "chien du caf\xC3\xA9"));
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(LabelsTest, WhatIsWrongNamesTheLine) {
  EXPECT_THAT(Said("cat\n\ndog\n"), ElementsAre(HasSubstr("labels.txt:2: an empty line")));
  EXPECT_THAT(Said("cat\ndog\n\n"), ElementsAre(HasSubstr("labels.txt:3: an empty line")));
  EXPECT_THAT(Said("cat\ndog\ncat\n"), ElementsAre(HasSubstr("labels.txt:3: \"cat\" is already on line 1")));
  EXPECT_THAT(Said("cat\ndog \n"), ElementsAre(HasSubstr("labels.txt:2: spaces")));
  EXPECT_THAT(Said("cat\ncaf\xE9\n"),
              ElementsAre(HasSubstr("labels.txt:2: must be UTF-8; has the byte 0xe9")));
  EXPECT_THAT(Said(""), ElementsAre(HasSubstr("must have at least 2 labels; has 0")));
  EXPECT_THAT(Said("cat\n"), ElementsAre(HasSubstr("must have at least 2 labels; has 1")));
}

TEST_F(LabelsTest, EveryWrongLineIsNamed) {
  EXPECT_THAT(Said("x\n\n y\nx\nz\n"), ElementsAre(HasSubstr(":2: an empty line"), HasSubstr(":3: spaces"),
                                                   HasSubstr(":4: \"x\" is already on line 1")));
  EXPECT_THAT(Said("x\nx \nx \n"), ElementsAre(HasSubstr(":2: spaces"), HasSubstr(":3: spaces"),
                                               HasSubstr(":3: \"x \" is already on line 2")));
}

TEST_F(LabelsTest, OfManyWrongLinesTheFirstAreNamedAndTheOthersCounted) {
  EXPECT_EQ(Said("x\n" + std::string(10, '\n')).size(), 10u);
  EXPECT_THAT(Said("x\n" + std::string(11, '\n')),
              AllOf(SizeIs(11), Contains(HasSubstr("labels.txt:11: an empty line")),
                    Contains(HasSubstr("labels.txt has 1 fault more in the lines after"))));
  EXPECT_THAT(Said(std::string(1000, '\n')), Contains(HasSubstr("has 990 faults more")));
}

// A terminal or a page obeys them.
TEST_F(LabelsTest, ANameHasNoControlCharacters) {
  for (const char* name : {"\x1B[2J", "a\tb", "a\x7F", "\xC2\x9B", "\xE2\x80\xA8",
                           "a\xE2\x80\xAE"
                           "b",
                           "\xE2\x81\xA6"}) {
    EXPECT_THAT(
        Said(absl::StrCat("cat\n", name, "\n")),
        ElementsAre(AllOf(HasSubstr("labels.txt:2: the name of a class must have no control characters"),
                          HasSubstr(absl::StrCat("was \"", absl::CHexEscape(name), "\"")))))
        << absl::CHexEscape(name);
  }
  EXPECT_THAT(Said(std::string("cat\nd\0g\n", 8)), ElementsAre(HasSubstr("was \"d\\x00g\"")));
  EXPECT_THAT(Said("cat\nd\rg\n"), ElementsAre(HasSubstr("was \"d\\rg\""))) << "also a CR that ends no line";
}

TEST_F(LabelsTest, LinesThatEndWithCrAloneAreSaidToDoSo) {
  EXPECT_THAT(Said("cat\rdog\rbird\r"), ElementsAre(HasSubstr("labels.txt:1: lines that end with CR alone")));
  EXPECT_THAT(Said("cat\r\rcat"),
              ElementsAre(HasSubstr(":1: lines that end with CR alone"), HasSubstr(":2: an empty line"),
                          HasSubstr(":3: \"cat\" is already on line 1")));
}

}  // namespace
}  // namespace calserve
