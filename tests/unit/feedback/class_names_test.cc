#include "server/feedback/class_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/feedback/memory_store.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

TEST(ClassNamesTest, ANameMeansWhatItMeantInTheVersionThatPredicted) {
  MemoryStore store;
  ClassNames names(store);
  ASSERT_TRUE(names.Keep("pets", "old", {"cat", "dog"}).ok());
  ASSERT_TRUE(names.Keep("pets", "new", {"dog", "cat"}).ok());
  EXPECT_EQ(*names.Find("pets", "old", "cat"), 0);
  EXPECT_EQ(*names.Find("pets", "new", "cat"), 1);
}

TEST(ClassNamesTest, NamesAreKnownAfterARestart) {
  MemoryStore store;
  ASSERT_TRUE(ClassNames(store).Keep("pets", "old", {"cat", "dog"}).ok());
  EXPECT_EQ(*ClassNames(store).Find("pets", "old", "dog"), 1);
}

TEST(ClassNamesTest, AnUnknownNameAndAnUnknownVersionAreToldApart) {
  MemoryStore store;
  ClassNames names(store);
  ASSERT_TRUE(names.Keep("pets", "old", {"cat", "dog"}).ok());
  EXPECT_THAT(std::string(names.Find("pets", "old", "cow").status().message()),
              HasSubstr("no class named \"cow\""));
  for (const auto& [model, digest] : {std::pair("pets", "new"), std::pair("boats", "old")}) {
    const absl::Status status = names.Find(model, digest, "cat").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(status.message()), HasSubstr("give the index")) << model;
  }
}

TEST(ClassNamesTest, ManyVersionsAreAllKnown) {
  MemoryStore store;
  ClassNames names(store);
  for (int round = 0; round < 2; ++round) {
    for (int version = 0; version < 200; ++version) {
      const std::string digest = absl::StrCat(version);
      ASSERT_TRUE(names.Keep("pets", digest, {"cat", digest}).ok());
      EXPECT_EQ(*names.Find("pets", digest, digest), 1);
    }
  }
  EXPECT_EQ(*names.Find("pets", "0", "0"), 1);
}

}  // namespace
}  // namespace calserve
