// What is said of a version whose model.pt2 or model.pt is there, and is no file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "server/config/model_config.h"
#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ModelFileTest : public ::testing::Test {
 protected:
  ModelFileTest() {
    repository_.Write("pets/model.yaml", "task: multiclass\ninput: {kind: tensor, shape: [4]}\n");
    repository_.Write("pets/labels.txt", "cat\ndog\n");
    fs::create_directories(Path("1"));
  }
  std::string Path(const std::string& name) const { return repository_.path() + "/pets/" + name; }
  std::string Problem() {
    const ModelDirectory read = ReadModelDirectory(repository_.path() + "/pets", {});
    return std::string(read.config.Find(1)->problem.message());
  }

  TempDir repository_;
};

TEST_F(ModelFileTest, ThatIsNotThereIsMissed) {
  EXPECT_THAT(Problem(), HasSubstr("/1 holds neither model.pt2"));
}

TEST_F(ModelFileTest, ThatIsADirectoryALinkOrAPipeIsSaidToBe) {
  fs::create_directories(Path("1/model.pt"));
  EXPECT_THAT(Problem(), HasSubstr("/1/model.pt is a directory, not a file"));
  fs::remove(Path("1/model.pt"));
  fs::create_symlink("/nonexistent/x", Path("1/model.pt"));
  EXPECT_THAT(Problem(), HasSubstr("/1/model.pt is a link to nothing: there is no /nonexistent/x"));
  fs::create_symlink("model.pt2", Path("1/model.pt2"));
  EXPECT_THAT(Problem(), AllOf(HasSubstr("/1/model.pt2 is a link that leads back to itself; "),
                               HasSubstr("/1/model.pt is a link to nothing")));
  fs::remove(Path("1/model.pt2"));
  fs::remove(Path("1/model.pt"));
  ASSERT_EQ(mkfifo(Path("1/model.pt").c_str(), 0600), 0);
  EXPECT_THAT(Problem(), HasSubstr("/1/model.pt is not a regular file"));
}

TEST_F(ModelFileTest, LabelsAndYamlThatAreLinksAreSaidToBe) {
  fs::remove(Path("labels.txt"));
  fs::create_symlink("labels.txt", Path("labels.txt"));
  fs::remove(Path("model.yaml"));
  fs::create_symlink("gone.yaml", Path("model.yaml"));
  const std::vector<absl::Status> problems = ReadModelDirectory(repository_.path() + "/pets", {}).problems;
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_THAT(std::string(problems[0].message()), HasSubstr("model.yaml is a link to nothing"));
  EXPECT_THAT(std::string(problems[1].message()),
              HasSubstr("labels.txt is a link that leads back to itself"));
}

}  // namespace
}  // namespace calserve
