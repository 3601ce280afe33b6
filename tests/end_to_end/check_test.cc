// calserve-server --check: everything that is wrong with a model directory, at once, without serving.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class CheckTest : public ::testing::Test {
 protected:
  CheckTest() { fs::copy(DemoModels(), scratch_ / "models", fs::copy_options::recursive); }

  std::string Model(const std::string& file = "") const { return scratch_ / ("models/fashion_mnist" + file); }
  void Write(const std::string& file, const std::string& text) const {
    fs::create_directories(fs::path(Model(file)).parent_path());
    std::ofstream(Model(file)) << text;
  }
  void Append(const std::string& file, const std::string& text) const {
    std::ofstream(Model(file), std::ios::app) << text;
  }
  // Runs the check; what it said is in said_.
  int Check(const std::string& directory) {
    ChildProcess process({BuiltProgram("server/calserve-server"), "--check", directory});
    const int code = process.WaitForExit(absl::Seconds(60)).value_or(-1);
    said_ = process.log();
    return code;
  }

  TempDir scratch_;
  std::string said_;
};

TEST_F(CheckTest, AModelOrARepositoryThatIsRightIsZero) {
  EXPECT_EQ(Check(Model()), 0) << said_;
  EXPECT_EQ(Check(scratch_ / "models"), 0) << said_;
  EXPECT_FALSE(fs::exists("calserve-data")) << "no store is made";
}

TEST_F(CheckTest, ADirectoryThatIsNeitherIsSaid) {
  fs::create_directories(scratch_ / "1");
  EXPECT_EQ(Check(scratch_ / "1"), 3);
  EXPECT_THAT(said_, HasSubstr("neither a model (it has no model.yaml) nor a repository"));
  EXPECT_EQ(Check(scratch_ / "nowhere"), 3);
  EXPECT_THAT(said_, HasSubstr("nowhere"));
}

TEST_F(CheckTest, OfTheFolderOfAVersionOnlyThatVersion) {
  Write("/2/notes.txt", "");
  EXPECT_EQ(Check(Model("/1")), 0) << said_;
  EXPECT_EQ(Check(Model("/1/")), 0) << said_;
  EXPECT_EQ(Check(Model("/2")), 3);
  EXPECT_THAT(said_, HasSubstr("/2 holds neither"));
  EXPECT_EQ(Check(Model("/3")), 3);
  EXPECT_THAT(said_, HasSubstr("there is no folder " + Model("/3")));
}

TEST_F(CheckTest, EveryWrongFileIsNamedAtOnce) {
  Append("/model.yaml", "max_queue_delay: soon\nversions: newest\nbatch: 3\n");
  Append("/labels.txt", "Coat\n");
  Write("/2/notes.txt", "");
  EXPECT_EQ(Check(Model()), 3);
  EXPECT_THAT(said_, AllOf(HasSubstr("max_queue_delay must be"), HasSubstr("versions must be"),
                           HasSubstr("batch is not a known key"), HasSubstr("labels.txt:11"),
                           HasSubstr("/2 holds neither")));
}

// Somebody who mends what was said, and then is told of more, was not told everything.
TEST_F(CheckTest, WrongSettingsHideNoWrongVersion) {
  Append("/model.yaml", "max_queue_delay: soon\n");
  Write("/1/calibrator.json", "{");
  Write("/1/warmup/expected.json", R"({"format": 1, "samples": [{"file": "none.npy", "logits": [1]}]})");
  Write("/2/model.pt", "this is no model");
  EXPECT_EQ(Check(Model()), 3);
  EXPECT_THAT(said_, AllOf(HasSubstr("max_queue_delay must be"), HasSubstr("1/calibrator.json"),
                           HasSubstr("none.npy"), HasSubstr("2/model.pt")));
}

TEST_F(CheckTest, ASampleThatCannotBeReadHidesNoOther) {
  Write("/1/warmup/expected.json", R"({"format": 1, "samples": [
      {"file": "none.png", "top_classes": ["Coat"]}, {"file": "photo.png", "top_classes": ["Coat"]},
      {"file": "photo.png", "top_classes": ["Hat", "Coat", "Cap"]}]})");
  Write("/1/warmup/photo.png", "this is no image");
  EXPECT_EQ(Check(Model()), 3);
  EXPECT_THAT(said_, AllOf(HasSubstr("none.png"), HasSubstr("fashion_mnist/1: warm-up sample photo.png: "),
                           HasSubstr("has \"Hat\""), HasSubstr("has \"Cap\"")));
}

TEST_F(CheckTest, EveryFaultOfAFileIsNamedAtOnce) {
  fs::remove(Model("/labels.txt"));
  Write("/labels.txt", "x\n\n y\nx\nz\x1B[2J\n");
  Write("/model.yaml",
        "task: multiclass\nversion_labels: {1a: 1, b: x}\ninput:\n  kind: image\n  size: [28, 28]\n"
        "  colour: rgb\n  mean: [0.5]\n  std: [0, 0, -1]\n  interpolation: area\n");
  EXPECT_EQ(Check(Model()), 3);
  EXPECT_THAT(said_, AllOf(HasSubstr("labels.txt:2"), HasSubstr("labels.txt:3"), HasSubstr("labels.txt:4"),
                           HasSubstr("was \"z\\x1b[2J\""), Not(HasSubstr("\x1B"))));
  EXPECT_THAT(said_,
              AllOf(HasSubstr("label \"1a\""), HasSubstr("b must point"), HasSubstr("input.colour"),
                    HasSubstr("input.mean"), HasSubstr("input.std"), HasSubstr("input.interpolation")));
}

TEST_F(CheckTest, AFileThatIsNoneIsSaidToBeWhatItIs) {
  fs::remove(Model("/1/model.pt"));
  fs::create_directories(Model("/1/model.pt"));
  fs::remove(Model("/model.yaml"));
  fs::create_symlink("gone.yaml", Model("/model.yaml"));
  EXPECT_EQ(Check(Model()), 3);
  EXPECT_THAT(said_, AllOf(HasSubstr("model.yaml is a link to nothing: there is no gone.yaml"),
                           HasSubstr("1/model.pt is a directory, not a file")));
}

// What it cannot be loaded without: then nothing is said that only follows from it.
TEST_F(CheckTest, WithoutLabelsOrADeviceOrAnInputOnlyTheCalibratorIsRead) {
  const std::string for_three = R"({"format": "calserve.calibrator.v1", "method": "temperature", "classes": 3,
                                    "parameters": {"temperature": 2}})";
  Append("/labels.txt", "Coat\n");
  Write("/1/model.pt", "this is no model");
  Write("/1/calibrator.json", "{");
  EXPECT_EQ(Check(Model()), 3);
  EXPECT_THAT(said_,
              AllOf(HasSubstr("labels.txt:11"), HasSubstr("1/calibrator.json"), Not(HasSubstr("model.pt"))));
  Write("/1/calibrator.json", for_three);
  EXPECT_EQ(Check(Model()), 3);
  EXPECT_THAT(said_, Not(HasSubstr("calibrator.json"))) << "nobody knows how many classes";

  const std::string input = "task: multiclass\ninput: {kind: tensor, shape: [1, 28, 28]}\n";
  for (const std::string& wrong :
       {input + "device: gpu\n", input + "dtype: fp8\n", std::string("task: multi\n") + input.substr(17),
        std::string(
            "task: multiclass\ninput: {kind: tensor, shape: [1000000000, 1000000000, 1000000000]}\n")}) {
    fs::remove(Model("/labels.txt"));
    fs::copy(DemoModels() + "/fashion_mnist/labels.txt", Model("/labels.txt"));
    Write("/model.yaml", wrong);
    EXPECT_EQ(Check(Model()), 3);
    EXPECT_THAT(said_, AllOf(HasSubstr("model.yaml:"), HasSubstr("is for 3 classes; 10 are needed"),
                             Not(HasSubstr("model.pt"))))
        << wrong;
  }
}

TEST_F(CheckTest, AKeyThatIsGivenTwiceHidesNoOtherFault) {
  Append("/model.yaml",
         "task: multiclass\nmax_queue_delay: soon\npriority_levels: 17\ndefault_priority: 9\n");
  EXPECT_EQ(Check(Model()), 3);
  EXPECT_THAT(said_, AllOf(HasSubstr("task is given twice"), HasSubstr("max_queue_delay must be"),
                           HasSubstr("priority_levels must be")));
  const std::vector<std::string> lines = absl::StrSplit(said_, '\n');
  EXPECT_EQ(absl::c_count_if(lines, [](const auto& line) { return absl::StrContains(line, "model.yaml:"); }),
            3)
      << said_;
}

TEST_F(CheckTest, EveryVersionIsLoadedAndItsSamplesAreRun) {
  Append("/model.yaml", "version_labels: {stable: 7}\n");
  Write("/2/model.pt", "this is no model");
  fs::copy(Model("/1/model.pt"), Model("/3-model.pt"));
  fs::create_directories(Model("/3"));
  fs::rename(Model("/3-model.pt"), Model("/3/model.pt"));
  Write("/3/calibrator.json", "{");
  Write("/3/warmup/expected.json", R"({"format": 1, "samples": [{"file": "none.npy", "logits": [1]}]})");
  Write("/warmup/expected.json",
        R"({"format": 1, "samples": [{"file": "photo.png", "top_classes": ["Coat"]}]})");
  Write("/warmup/photo.png", "this is no image");
  EXPECT_EQ(Check(scratch_ / "models"), 3);
  EXPECT_THAT(said_, AllOf(HasSubstr("asks for version 7, which has no folder"), HasSubstr("2/model.pt"),
                           HasSubstr("3/calibrator.json"), HasSubstr("none.npy"),
                           HasSubstr("samples[0].logits must have a number for each of the 10 classes"),
                           HasSubstr("fashion_mnist/1: warm-up sample photo.png: ")));
  EXPECT_THAT(said_, Not(HasSubstr("fashion_mnist/3: warm-up")));
}

}  // namespace
}  // namespace calserve::e2e
