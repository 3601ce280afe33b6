// What is said of a model.yaml with several faults: each fault once, and nothing that is not one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/config/model_config.h"
#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
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

TEST_F(ModelProblemsTest, TensorNamesAreWordsAndOutputsDiffer) {
  EXPECT_THAT(
      ProblemsOf(absl::StrCat(kInput, "tensor_names: {input: a b, probabilities: logits, out: x}\n")),
      UnorderedElementsAre(HasSubstr(":3: tensor_names.input must be 1 to 128 printable ASCII characters "
                                     "without a space; was \"a b\""),
                           HasSubstr(":3: tensor_names.probabilities must not be as that of logits"),
                           HasSubstr(":3: tensor_names.out is not a known key")));
  EXPECT_THAT(ProblemsOf(absl::StrCat(kInput, "tensor_names: {logits: a, ticket: a}\n")),
              ElementsAre(HasSubstr("tensor_names.ticket must not be as that of logits, \"a\"")));
  EXPECT_THAT(ProblemsOf(absl::StrCat(kInput, "tensor_names: {input: \"\"}\n")), SizeIs(1));
  EXPECT_THAT(ProblemsOf(absl::StrCat(kInput, "tensor_names: INPUT__0\n")), SizeIs(1));
  EXPECT_THAT(ProblemsOf(absl::StrCat(kInput, "tensor_names: {input: logits}\n")), IsEmpty());
  EXPECT_THAT(ProblemsOf(absl::StrCat(kInput, "tensor_names: {probabilities: logits, logits: scores}\n")),
              IsEmpty());
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

TEST_F(ModelProblemsTest, EveryFaultOfAnInputIsNamed) {
  EXPECT_THAT(
      ProblemsOf("input:\n  kind: image\n  size: [28, 28]\n  colour: rgb\n  mean: [0.5]\n"
                 "  std: [0, 0, -1]\n  interpolation: area\n"),
      UnorderedElementsAre(HasSubstr(":5: input.colour is not a known key; did you mean color?"),
                           HasSubstr(":6: input.mean must have one value a channel (3); has 1"),
                           HasSubstr(":7: input.std must be > 0; was 0, 0, -1"),
                           HasSubstr(":8: input.interpolation must be bilinear, bicubic or nearest")));
  EXPECT_THAT(
      ProblemsOf("input: {kind: image, size: [0, x], mean: [a, 1, b], crop: none, resize: 30}\n"),
      UnorderedElementsAre(HasSubstr("input.size must be"), HasSubstr("has \"x\""), HasSubstr("has \"a\""),
                           HasSubstr("has \"b\""),
                           HasSubstr("input.crop must be center: none needs resize: [height, width]")));
}

TEST_F(ModelProblemsTest, OfAnInputWithoutAKnownColorOrSizeNothingIsSaidThatFollowsFromThat) {
  EXPECT_THAT(ProblemsOf("input: {kind: image, size: [28, 28], color: pink, mean: [0.5]}\n"),
              ElementsAre(HasSubstr("input.color must be")));
  EXPECT_THAT(ProblemsOf("input: {kind: image, crop: none, resize: [28, 28]}\n"),
              ElementsAre(HasSubstr("input lacks size")));
  EXPECT_THAT(ProblemsOf("input: image\n"), ElementsAre(HasSubstr("input must hold lines")));
}

TEST_F(ModelProblemsTest, EveryWrongVersionLabelWeightAndAttributeIsNamed) {
  EXPECT_THAT(ProblemsOf(absl::StrCat("versions: [one, 0, 1, 1]\n", kInput)),
              ElementsAre(HasSubstr(":2: versions must be a list of whole numbers from 1 to "
                                    "9223372036854775807, as [1, 3]; has \"one\""),
                          HasSubstr("has \"0\""), HasSubstr("names 1 twice")));
  EXPECT_THAT(
      ProblemsOf(absl::StrCat("version_labels: {1a: 1, b: x, 2c: -1}\n", kInput)),
      ElementsAre(HasSubstr("has the label \"1a\""),
                  HasSubstr("b must point to a version, a whole number from 1 to 9223372036854775807; "
                            "was \"x\""),
                  HasSubstr("has the label \"2c\""), HasSubstr("2c must point to a version")));
  EXPECT_THAT(ProblemsOf(absl::StrCat("version_labels: {a: 1}\ntraffic: {a: -1, b: many}\n", kInput)),
              ElementsAre(HasSubstr("the weight of a must be a whole number from 0 to 1000000; was \"-1\""),
                          HasSubstr("has the label \"b\", which version_labels does not point"),
                          HasSubstr("the weight of b must be")));
  EXPECT_THAT(ProblemsOf(absl::StrCat("version_labels: {a: x}\ntraffic: {a: 1, b: 1}\n", kInput)),
              ElementsAre(HasSubstr("a must point to a version"), HasSubstr("has the label \"b\"")));
  EXPECT_THAT(ProblemsOf(absl::StrCat("attributes: {camera: [other, a, a, [b]]}\n", kInput)),
              ElementsAre(HasSubstr("must not list \"other\""), HasSubstr("\"a\" is there twice"),
                          HasSubstr("has a list")));
}

TEST_F(ModelProblemsTest, OfManyFaultsOfAKeyTheFirstAreNamedAndTheOthersCounted) {
  std::string versions = "0";
  for (int i = 1; i < 12; ++i) absl::StrAppend(&versions, ", 0");
  EXPECT_THAT(ProblemsOf(absl::StrCat("versions: [", versions, "]\n", kInput)),
              AllOf(SizeIs(11), Contains(HasSubstr("versions has 2 more faults"))));
}

TEST_F(ModelProblemsTest, EveryWrongLabelIsNamedBesideTheTasksRule) {
  repository_.Write("pets/labels.txt", "x\n\n y\nx\nz\n");
  EXPECT_THAT(ProblemsOf(kInput), ElementsAre(HasSubstr("labels.txt:2:"), HasSubstr("labels.txt:3:"),
                                              HasSubstr("labels.txt:4:")));
  repository_.Write("pets/model.yaml", absl::StrCat("task: binary\n", kInput));
  const std::vector<absl::Status> problems = ReadModelDirectory(repository_.path() + "/pets", {}).problems;
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_THAT(std::string(problems.back().message()),
              HasSubstr("must have 2 labels for task: binary; has 3"));
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
