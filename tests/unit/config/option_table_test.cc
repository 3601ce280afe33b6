#include "server/config/option_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace calserve {
namespace {

using ::testing::ElementsAreArray;

// The row of docs/configuration.md that an option must have.
std::string DocumentedRow(const Option& option) {
  const std::string value = option.Get(ServerConfig());
  std::string rule = absl::StrReplaceAll(option.Rule(), {{" | ", ", "}});
  if (option.kind == OptionKind::kCount) absl::StrAppend(&rule, " (", option.unit, ")");
  return absl::StrCat("| `", option.name, "` | ", value.empty() ? "" : absl::StrCat("`", value, "`"), " | ",
                      rule, " | ", option.help, " |");
}

TEST(OptionTableTest, IsWhatTheDocumentLists) {
  std::vector<std::string> expected, documented;
  for (const Option& option : OptionTable()) expected.push_back(DocumentedRow(option));
  std::ifstream document(CALSERVE_SOURCE_DIR "/docs/configuration.md");
  for (std::string line; std::getline(document, line);) {
    if (absl::StartsWith(line, "| `")) documented.push_back(line);
  }
  EXPECT_THAT(documented, ElementsAreArray(expected)) << "the rows should be:\n"
                                                      << absl::StrJoin(expected, "\n");
}

TEST(OptionTableTest, NamesAreUniqueInTheFileTheEnvironmentAndTheFlags) {
  std::set<std::string> names, variables, flags;
  for (const Option& option : OptionTable()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_TRUE(variables.insert(option.variable()).second) << option.variable();
    EXPECT_TRUE(flags.insert(option.flag()).second) << option.flag();
    if (option.short_flag == nullptr) continue;
    EXPECT_TRUE(flags.insert(option.short_flag).second) << option.short_flag;
  }
}

TEST(OptionTableTest, SectionsAreTogether) {
  std::set<std::string> seen;
  std::string section;
  for (const Option& option : OptionTable()) {
    if (option.section() == section) continue;
    section = option.section();
    EXPECT_TRUE(seen.insert(section).second) << option.name;
  }
}

TEST(OptionTableTest, EveryDefaultKeepsItsOwnRuleAndRoundTrips) {
  for (const Option& option : OptionTable()) {
    const std::string text = option.Get(ServerConfig());
    ServerConfig config;
    EXPECT_TRUE(option.Set(text, &config).ok()) << option.name << " = " << text;
    EXPECT_EQ(option.Get(config), text) << option.name;
  }
}

TEST(OptionTableTest, EveryOptionHasItsOwnField) {
  for (const Option& option : OptionTable()) {
    for (const Option& other : OptionTable()) {
      if (option.name == other.name) continue;
      ServerConfig config;
      EXPECT_NE(option.field(config), other.field(config)) << option.name;
    }
  }
}

TEST(OptionTableTest, OneNameGivesAllThree) {
  const Option* const option = FindOption("batching.max_queue_rows");
  ASSERT_NE(option, nullptr);
  EXPECT_EQ(option->flag(), "--batching-max-queue-rows");
  EXPECT_EQ(option->variable(), "CALSERVE_BATCHING_MAX_QUEUE_ROWS");
  EXPECT_EQ(option->section(), "batching");
  EXPECT_EQ(FindOption("batching"), nullptr);
}

}  // namespace
}  // namespace calserve
