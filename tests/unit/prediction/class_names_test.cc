#include "server/prediction/class_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

TEST(ClassNamesTest, ANameMeansWhatItMeantInTheVersionThatPredicted) {
  ClassNames names;
  names.Remember("pets", "old", {"cat", "dog"});
  names.Remember("pets", "new", {"dog", "cat"});
  EXPECT_EQ(*names.Find("pets", "old", "cat"), 0);
  EXPECT_EQ(*names.Find("pets", "new", "cat"), 1);
}

TEST(ClassNamesTest, AnUnknownNameAndAnUnknownVersionAreToldApart) {
  ClassNames names;
  names.Remember("pets", "old", {"cat", "dog"});
  EXPECT_THAT(std::string(names.Find("pets", "old", "cow").status().message()),
              HasSubstr("no class named \"cow\""));
  for (const auto& [model, digest] : {std::pair("pets", "new"), std::pair("boats", "old")}) {
    const absl::Status status = names.Find(model, digest, "cat").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(status.message()), HasSubstr("give the index")) << model;
  }
}

TEST(ClassNamesTest, TheOldestGoWhenThereAreTooMany) {
  ClassNames names;
  for (size_t i = 0; i <= ClassNames::kMaxRemembered; ++i) {
    names.Remember("pets", absl::StrCat(i), {"cat", "dog"});
    names.Remember("pets", absl::StrCat(i), {"cat", "dog"});  // as after each activation
  }
  EXPECT_FALSE(names.Find("pets", "0", "cat").ok());
  EXPECT_TRUE(names.Find("pets", "1", "cat").ok());
}

}  // namespace
}  // namespace calserve
