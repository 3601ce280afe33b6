#include "server/config/yaml_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

class YamlFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<YamlValue> Read(const std::string& text) { return ReadYamlFile(dir_.Write("a.yaml", text)); }
  std::string ErrorOf(const std::string& text) { return std::string(Read(text).status().message()); }

  TempDir dir_;
};

TEST_F(YamlFileTest, KeepsOrderAndLines) {
  const absl::StatusOr<YamlValue> root = Read("b: 1\n\na:\n  c: [x, y]\n");
  ASSERT_TRUE(root.ok()) << root.status();
  const YamlValue::Mapping& entries = *root->mapping();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].key, "b");
  EXPECT_EQ(*entries[0].value.scalar(), "1");
  EXPECT_EQ(entries[1].line, 3);
  const YamlEntry& inner = entries[1].value.mapping()->at(0);
  EXPECT_EQ(inner.line, 4);
  EXPECT_EQ(*inner.value.list()->at(1).scalar(), "y");
}

TEST_F(YamlFileTest, AnEmptyFileIsAnEmptyMapping) {
  for (const char* text : {"", "# only a comment\n", "---\n"}) {
    const absl::StatusOr<YamlValue> root = Read(text);
    ASSERT_TRUE(root.ok()) << root.status();
    EXPECT_TRUE(root->mapping() != nullptr && root->mapping()->empty());
  }
}

TEST_F(YamlFileTest, AKeyThatIsGivenTwiceNamesBothLines) {
  EXPECT_THAT(ErrorOf("a: 1\nb: 2\na: 3\n"), HasSubstr("a.yaml:3: a is given twice, first on line 1"));
  EXPECT_THAT(ErrorOf("x:\n  a: 1\n  a: 1\n"), HasSubstr("a.yaml:3: a is given twice, first on line 2"));
}

TEST_F(YamlFileTest, WhatIsNoYamlNamesTheLine) {
  EXPECT_THAT(ErrorOf("a: 1\nb: [1, 2\n"), HasSubstr("a.yaml:"));
  EXPECT_THAT(ErrorOf("a: 1\n\tb: 2\n"), HasSubstr("a.yaml:2"));
  EXPECT_THAT(ErrorOf("- a\n- b\n"), HasSubstr("a.yaml:1: must hold lines \"key: value\""));
  EXPECT_THAT(ErrorOf("a: 1\n---\nb: 2\n"), HasSubstr("a.yaml:3: a second document"));
  EXPECT_THAT(ErrorOf("[a, b]: 1\n"), HasSubstr("a.yaml:1: a key must be plain text"));
}

TEST_F(YamlFileTest, AnAliasIsRefusedBeforeItIsExpanded) {
  EXPECT_THAT(ErrorOf("x: 1\na: &a [*a]\n"), HasSubstr("a.yaml:2: aliases"));
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string previous = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + previous + ", " + previous + "]\n";
  }
  EXPECT_THAT(ErrorOf(bomb), HasSubstr("a.yaml:2: aliases"));
}

TEST_F(YamlFileTest, AMissingFileOrADirectoryIsNamed) {
  EXPECT_EQ(ReadYamlFile(dir_.path() + "/none.yaml").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadYamlFile(dir_.path()).status().message()), HasSubstr("is a directory"));
}

TEST_F(YamlFileTest, WhatIsNoJsonIsSaidInItsWordsWithThePlace) {
  const auto error = [this](const std::string& text) {
    std::vector<absl::Status> problems;
    return std::string(ReadJsonFile(dir_.Write("a.json", text), &problems).status().message());
  };
  EXPECT_THAT(error("{\"a\": [1,\n  2,"),
              AllOf(HasSubstr("a.json: is not valid JSON at line 2, column 5"), HasSubstr("end of input")));
  EXPECT_THAT(error("{\"a\": 1\n \"b\": 2}"), HasSubstr("a.json: is not valid JSON at line 2, column 4"));
  EXPECT_THAT(error("{\"a\": *b}"), HasSubstr("a.json: is not valid JSON at line 1, column 7"));
  EXPECT_THAT(error("[1]"), HasSubstr("a.json:1: must hold a JSON object"));
  EXPECT_THAT(error("{\"a\": \"\\ud83d\\ude00\"}"), HasSubstr("a.json:1: a character beyond U+FFFF"));
  EXPECT_EQ(error("{\"a\": \"caf\\u00e9\", \"b\": {}, \"c\": null}"), "");
}

}  // namespace
}  // namespace calserve
