#include "server/access/roles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace calserve {
namespace {

using ::testing::HasSubstr;

TEST(RolesTest, NamesAreReadAndWritten) {
  EXPECT_EQ(ParseRoles("predict,feedback", ',')->ToString(), "predict,feedback");
  EXPECT_EQ(ParseRoles("read+predict", '+')->ToString(), "predict,read");
  EXPECT_EQ(Roles().ToString(), "none");
}

TEST(RolesTest, AdminSeesWhatItChangesAndNothingElse) {
  const Roles admin = *ParseRoles("admin", ',');
  EXPECT_TRUE(admin.Has(Role::kRead));
  EXPECT_FALSE(admin.Has(Role::kPredict));
  EXPECT_FALSE(admin.Has(Role::kFeedback));
}

TEST(RolesTest, NoOtherRoleIsAdmin) {
  for (const char* name : {"predict", "feedback", "read"}) {
    EXPECT_FALSE(RoleNamed(name).Has(Role::kAdmin)) << name;
  }
}

TEST(RolesTest, AnUnknownNameAndNoNameAreRefused) {
  EXPECT_THAT(ParseRoles("predict,root", ',').status().message(), HasSubstr("was \"root\""));
  EXPECT_THAT(ParseRoles("", ',').status().message(), HasSubstr("at least one"));
  EXPECT_TRUE(RoleNamed("Admin").empty());
}

}  // namespace
}  // namespace calserve
