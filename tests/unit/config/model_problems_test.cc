// What is said of a model.yaml with several faults: each fault once, and nothing that is not one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/config/model_config.h"
#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kInput[] = "input: {kind: image, size: [28, 28], color: grey}\n";

class ModelProblemsTest : public ::testing::Test {
 protected:
  ModelProblemsTest() {
    repository_.Write("pets/labels.txt", "cat\ndog\n");
    repository_.Write("pets/1/model.pt", "");
  }
  std::vector<std::string> ProblemsOf(const std::string& yaml) {
    repository_.Write("pets/model.yaml", "task: multiclass\n" + yaml);
    std::vector<std::string> said;
    for (const absl::Status& problem : ReadModelDirectory(repository_.path() + "/pets", {}).problems)
      said.emplace_back(problem.message());
    return said;
  }

  TempDir repository_;
};

TEST_F(ModelProblemsTest, OfAModelThatIsRightThereAreNone) { EXPECT_THAT(ProblemsOf(kInput), IsEmpty()); }

TEST_F(ModelProblemsTest, AKeyThatIsGivenTwiceHidesNoOther) {
  EXPECT_THAT(ProblemsOf("max_batch_size: 4\nmax_batch_size: 4\ndevice: tpu\n"
                         "input: {kind: image, size: [28, 28], size: [2, 2], color: pink}\nbatch: 3\n"),
              UnorderedElementsAre(HasSubstr(":3: max_batch_size is given twice, first on line 2"),
                                   HasSubstr(":5: size is given twice, first on line 5"),
                                   HasSubstr(":4: device must be"), HasSubstr(":5: input.color must be"),
                                   HasSubstr(":6: batch is not a known key")));
}

TEST_F(ModelProblemsTest, AWrongSizeIsSaidOnce) {
  for (const char* size : {"[28, 0]", "[0, 28]", "[28, x]", "[28]", "[28, 28, 3]", "[]", "28", "{a: 1}"}) {
    EXPECT_THAT(ProblemsOf(absl::StrCat("input: {kind: image, size: ", size, ", color: grey}\n")),
                ElementsAre(HasSubstr(":2: input.size must be")))
        << size;
  }
  EXPECT_THAT(ProblemsOf("input: {kind: image, size: [28, 28], color: grey, resize: [28, 0]}\n"),
              ElementsAre(HasSubstr("input.resize must be")));
  EXPECT_THAT(ProblemsOf("input: {kind: tensor, shape: [0]}\n"),
              ElementsAre(HasSubstr("input.shape must be")));
  EXPECT_THAT(ProblemsOf("input: {kind: tensor, shape: []}\n"),
              ElementsAre(HasSubstr("must have at least one dimension")));
}

TEST_F(ModelProblemsTest, ARuleBetweenTwoValuesIsForValuesThatAreRight) {
  EXPECT_THAT(ProblemsOf(absl::StrCat("priority_levels: 17\ndefault_priority: 5\n", kInput)),
              ElementsAre(HasSubstr(":2: priority_levels must be a whole number from 1 to 16; was \"17\"")));
  EXPECT_THAT(ProblemsOf(absl::StrCat("priority_levels: 2\ndefault_priority: 5\n", kInput)),
              ElementsAre(HasSubstr(":3: default_priority must be a whole number from 1 to 2; was \"5\"")));
  EXPECT_THAT(ProblemsOf(absl::StrCat("max_queue_rows: few\nmax_batch_size: 4096\n", kInput)),
              ElementsAre(HasSubstr(":2: max_queue_rows must be")));
  EXPECT_THAT(ProblemsOf(absl::StrCat("max_queue_delay: 1m\nqueue_timeout: 5ms\n", kInput)),
              ElementsAre(HasSubstr(":2: max_queue_delay must be")));
  EXPECT_THAT(ProblemsOf(absl::StrCat("version_labels: {stable: 0}\ntraffic: {stable: 1}\n", kInput)),
              ElementsAre(HasSubstr(":2: version_labels stable must point")));
}

}  // namespace
}  // namespace calserve
