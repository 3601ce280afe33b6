#include "server/config/warm_up_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/unit/calibration_io/npy_bytes.h"
#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string Input(const std::string& shape, const std::vector<float>& values) {
  return NpyFile(NpyHeader("<f4", shape), Bytes(values));
}

class WarmUpFileTest : public ::testing::Test {
 protected:
  WarmUpFileTest() {
    model_.kind = InputKind::kImage;
    model_.input_shape = {1, 2, 2};
    model_.labels = {"cat", "dog", "bird"};
    folder_.Write("input_0.npy", Input("(1, 2, 2)", {1, 2, 3, 4}));
    folder_.Write("photo.jpg", "no need to be one yet");
  }

  std::vector<WarmUpSample> Read(const std::string& json) {
    folder_.Write("expected.json", json);
    std::vector<absl::Status> problems;
    std::vector<WarmUpSample> samples = ReadWarmUpSamples(folder_.path(), model_, &problems);
    said_.clear();
    for (const absl::Status& problem : problems) said_.emplace_back(problem.message());
    return samples;
  }
  // Everything that is wrong with one sample.
  std::vector<std::string> Said(const std::string& sample) {
    Read(absl::StrCat(R"({"format": 1, "samples": [{)", sample, "}]}"));
    return said_;
  }

  TempDir folder_;
  ModelConfig model_;
  std::vector<std::string> said_;
};

TEST_F(WarmUpFileTest, WhatPythonWritesIsRead) {
  // json.dumps, with its defaults and with separators=(",", ":").
  for (
      const char* json :
      {R"({"format": 1, "tolerance": {"absolute": 0.01, "relative": 0}, "samples": [{"file": "input_0.npy", )"
       R"("logits": [1.25, -5e-05, 3.0], "top_classes": ["bird", "cat"]}, {"file": "photo.jpg", )"
       R"("top_classes": ["dog"], "tolerance": {"relative": 0.5}}]})",
       R"({"format":1,"tolerance":{"absolute":0.01,"relative":0},"samples":[{"file":"input_0.npy",)"
       R"("logits":[1.25,-5e-05,3.0],"top_classes":["bird","cat"]},{"file":"photo.jpg",)"
       R"("top_classes":["dog"],"tolerance":{"relative":0.5}}]})"}) {
    const std::vector<WarmUpSample> samples = Read(json);
    ASSERT_THAT(said_, IsEmpty());
    ASSERT_EQ(samples.size(), 2u);
    EXPECT_EQ(samples[0].file, "input_0.npy");
    EXPECT_THAT(std::get<std::vector<float>>(samples[0].input), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(samples[0].logits, ElementsAre(1.25f, -5e-05f, 3.0f));
    EXPECT_THAT(samples[0].top_classes, ElementsAre("bird", "cat"));
    EXPECT_EQ(samples[0].absolute_tolerance, 0.01);
    EXPECT_EQ(samples[0].relative_tolerance, 0);
    EXPECT_EQ(std::get<std::string>(samples[1].input), "no need to be one yet");
    EXPECT_THAT(samples[1].logits, IsEmpty());
    EXPECT_EQ(samples[1].absolute_tolerance, 0.01) << "of the file";
    EXPECT_EQ(samples[1].relative_tolerance, 0.5) << "of the sample";
  }
}

TEST_F(WarmUpFileTest, ALeadingDimensionOfOneIsTheBatch) {
  folder_.Write("input_0.npy", Input("(1, 1, 2, 2)", {5, 6, 7, 8}));
  const auto samples = Read(R"({"format": 1, "samples": [{"file": "input_0.npy", "top_classes": ["cat"]}]})");
  ASSERT_THAT(said_, IsEmpty());
  EXPECT_THAT(std::get<std::vector<float>>(samples[0].input), ElementsAre(5, 6, 7, 8));
  EXPECT_EQ(samples[0].absolute_tolerance, 1e-3);
}

TEST_F(WarmUpFileTest, ABinaryModelMayHaveOneLogit) {
  model_.labels = {"no", "yes"};
  EXPECT_THAT(Said(R"("file": "input_0.npy", "logits": [0.5])"), IsEmpty());
  EXPECT_THAT(Said(R"("file": "input_0.npy", "logits": [0.5, 1])"), IsEmpty());
}

TEST_F(WarmUpFileTest, WhatIsWrongWithASampleIsNamed) {
  EXPECT_THAT(Said(R"("file": "input_0.npy")"),
              ElementsAre(HasSubstr("samples[0] needs logits or top_classes")));
  EXPECT_THAT(Said(R"("file": "input_0.npy", "logits": [1, 2])"),
              ElementsAre(HasSubstr("must have a number for each of the 3 classes; has 2")));
  EXPECT_THAT(Said(R"("file": "input_0.npy", "logits": [1, 2, "x"])"),
              Contains(HasSubstr("list of numbers")));
  EXPECT_THAT(Said(R"("file": "input_0.npy", "top_classes": ["fish"])"),
              ElementsAre(HasSubstr("has \"fish\", which is not in labels.txt")));
  EXPECT_THAT(Said(R"("file": "input_0.npy", "top_classes": ["cat", "cat"])"),
              ElementsAre(HasSubstr("twice")));
  Read(R"({"format": 1, "samples": [5]})");
  EXPECT_THAT(said_, ElementsAre(HasSubstr("samples[0] must hold lines")));
  EXPECT_THAT(Said(R"("file": "none.npy", "top_classes": ["cat"])"), ElementsAre(HasSubstr("none.npy")));
  for (const char* file : {"../1/model.pt", "/etc/passwd", ".hidden"}) {
    EXPECT_THAT(Said(absl::StrCat(R"("file": ")", file, R"(", "top_classes": ["cat"])")),
                ElementsAre(HasSubstr("must be the name of a file beside expected.json")))
        << file;
  }
  EXPECT_THAT(Said(R"("file": "input_0.npy", "top_class": ["cat"])"),
              Contains(HasSubstr("samples[0].top_class is not a known key; did you mean top_classes?")));
  EXPECT_THAT(Said(R"("file": "input_0.npy", "top_classes": ["cat"], "tolerance": {"absolute": -1})"),
              ElementsAre(HasSubstr("samples[0].tolerance.absolute must be a number from 0")));
}

TEST_F(WarmUpFileTest, ATensorOfAnotherShapeOrTypeIsNamed) {
  const std::string sample = R"("file": "input_0.npy", "top_classes": ["cat"])";
  folder_.Write("input_0.npy", Input("(2, 2)", {1, 2, 3, 4}));
  EXPECT_THAT(Said(sample), ElementsAre(AllOf(HasSubstr("[1, 2, 2]"), HasSubstr("was [2, 2]"))));
  folder_.Write("input_0.npy", NpyFile(NpyHeader("<f8", "(1, 2, 2)"), Bytes<double>({1, 2, 3, 4})));
  EXPECT_THAT(Said(sample), ElementsAre(HasSubstr("dtype must be float32; was <f8")));
  folder_.Write("input_0.npy", Input("(1, 2, 2)", {1, 2, 3, NAN}));
  EXPECT_THAT(Said(sample), ElementsAre(HasSubstr("not finite")));
}

TEST_F(WarmUpFileTest, AModelThatTakesTensorsHasNoPhotographs) {
  model_.kind = InputKind::kTensor;
  EXPECT_THAT(Said(R"("file": "photo.jpg", "top_classes": ["cat"])"),
              ElementsAre(HasSubstr(".npy files only")));
}

TEST_F(WarmUpFileTest, EveryWrongClassIsNamed) {
  EXPECT_THAT(Said(R"("file": "input_0.npy", "top_classes": ["fish", "cat", ["dog"], "cat", "cow"])"),
              ElementsAre(HasSubstr("has \"fish\", which is not"), HasSubstr("has a list, which is not"),
                          HasSubstr("has \"cat\" twice"), HasSubstr("has \"cow\", which is not")));
}

TEST_F(WarmUpFileTest, WhatIsWrongWithOneSampleLeavesTheOthers) {
  const std::vector<WarmUpSample> samples = Read(R"({"format": 1, "samples": [
      {"file": "none.jpg", "top_classes": ["cat"]}, {"file": "photo.jpg", "top_classes": ["cat"]},
      {"file": "photo.jpg", "top_classes": ["fish"]}, {"file": "input_0.npy", "logits": [1, 2, 3]}]})");
  EXPECT_THAT(said_, ElementsAre(HasSubstr("none.jpg"), HasSubstr("samples[2].top_classes has \"fish\"")));
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].file, "photo.jpg");
  EXPECT_EQ(samples[1].file, "input_0.npy");
}

TEST_F(WarmUpFileTest, WhatIsWrongForAllSamplesLeavesNone) {
  const std::string samples = R"("samples": [{"file": "photo.jpg", "top_classes": ["cat"]}]})";
  for (const char* begin :
       {R"({"format": 2, )", R"({"format": 1, "tolerances": {"absolute": 1}, )",
        R"({"format": 1, "tolerance": {"absolute": -1}, )", R"({"format": 1, "format": 1, )"}) {
    EXPECT_THAT(Read(begin + samples), IsEmpty()) << begin;
    EXPECT_EQ(said_.size(), 1u) << begin;
  }
}

TEST_F(WarmUpFileTest, ABrokenFileIsNoJson) {
  Read(R"({"format": 1, "samples": [{"file": "photo.jpg")");
  EXPECT_THAT(said_, ElementsAre(HasSubstr("expected.json: is not valid JSON at line 1, column 47")));
}

TEST_F(WarmUpFileTest, AKeyThatIsGivenTwiceHidesNoOtherFault) {
  Read(R"({"format": 1, "format": 1, "samples": [{"file": "none.jpg", "top_classes": ["fish"]}]})");
  EXPECT_THAT(said_, UnorderedElementsAre(HasSubstr("format is given twice"), HasSubstr("none.jpg"),
                                          HasSubstr("\"fish\"")));
}

TEST_F(WarmUpFileTest, EverythingThatIsWrongIsSaidAtOnce) {
  Read(
      R"({"format": 2, "samples": [{"file": "none.jpg", "logits": [1]}, {"top_classes": ["fish"]}], "sample": 1})");
  EXPECT_THAT(said_, UnorderedElementsAre(HasSubstr("format must be"), HasSubstr("sample is not a known key"),
                                          HasSubstr("none.jpg"), HasSubstr("samples[0].logits must have"),
                                          HasSubstr("samples[1] lacks file"), HasSubstr("\"fish\"")));
  Read("{\"format\": 1, \"samples\": []}");
  EXPECT_THAT(said_, ElementsAre(HasSubstr("must be a list of 1 to 256 samples")));
  folder_.Remove("expected.json");
  std::vector<absl::Status> problems;
  ReadWarmUpSamples(folder_.path(), model_, &problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(std::string(problems[0].message()), HasSubstr("expected.json"));
}

}  // namespace
}  // namespace calserve
