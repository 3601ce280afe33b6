#include "client/cli/labelled_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace calserve::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class LabelledImagesTest : public ::testing::Test {
 protected:
  LabelledImagesTest() : folder_(fs::path(::testing::TempDir()) / "labelled_images") {
    fs::remove_all(folder_);
    model_.name = "m";
    model_.labels = {"bag", "shoe"};
  }
  ~LabelledImagesTest() override { fs::remove_all(folder_); }

  void Touch(const std::string& path, const std::string& content = "") {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << content;
  }
  std::string Path(const std::string& path) { return (folder_ / path).string(); }

  const fs::path folder_;
  client::ModelInfo model_;
};

TEST_F(LabelledImagesTest, ReadsAFolderPerClass) {
  Touch("set/shoe/b.png");
  Touch("set/shoe/a.png");
  Touch("set/bag/x.png");
  Touch("set/bag/.hidden");
  const auto images = ListLabelledImages(Path("set"), model_);
  ASSERT_TRUE(images.ok()) << images.status();
  ASSERT_EQ(images->size(), 3u);
  EXPECT_EQ((*images)[0].path, Path("set/bag/x.png"));
  EXPECT_EQ((*images)[0].class_index, 0);
  EXPECT_EQ((*images)[1].path, Path("set/shoe/a.png"));
  EXPECT_EQ((*images)[1].class_index, 1);
}

TEST_F(LabelledImagesTest, ReadsAListRelativeToItself) {
  Touch("list.csv", "path,label\nimg/a.png,shoe\n/abs/b.png,0\n");
  const auto images = ListLabelledImages(Path("list.csv"), model_);
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ((*images)[0].path, Path("img/a.png"));
  EXPECT_EQ((*images)[0].class_index, 1);
  EXPECT_EQ((*images)[1].path, "/abs/b.png");
  EXPECT_EQ((*images)[1].class_index, 0);
}

TEST_F(LabelledImagesTest, NamesALabelThatIsNoClass) {
  Touch("set/hat/a.png");
  EXPECT_THAT(ListLabelledImages(Path("set"), model_).status().message(),
              HasSubstr("a.png: 'hat' is not a class of m; it has bag, shoe"));
  Touch("list.csv", "a.png,2\n");
  EXPECT_THAT(ListLabelledImages(Path("list.csv"), model_).status().message(),
              HasSubstr("'2' is not a class"));
  Touch("flat/a.png");
  EXPECT_THAT(ListLabelledImages(Path("flat"), model_).status().message(), HasSubstr("one folder per class"));
  Touch("empty.csv", "\n");
  EXPECT_THAT(ListLabelledImages(Path("empty.csv"), model_).status().message(),
              HasSubstr("holds no labelled image"));
  EXPECT_FALSE(ListLabelledImages(Path("absent"), model_).ok());
}

TEST_F(LabelledImagesTest, ABadFileIsFoundBeforeAnyIsUsed) {
  Touch("set/shoe/a.png", "1234");
  Touch("set/shoe/empty.png");
  Touch("list.csv", "path,label\nset/shoe/a.png,shoe\nset/shoe/a.png,shoe\n");
  const auto check = [&](int64_t max_bytes) {
    return CheckImageFiles(*ListLabelledImages(Path("list.csv"), model_), max_bytes);
  };
  EXPECT_TRUE(check(4).ok()) << check(4);
  EXPECT_THAT(check(3).message(), HasSubstr(Path("set/shoe/a.png") + " is larger than the limit of 3 bytes"));
  EXPECT_THAT(check(3).message(), HasSubstr("2 of 2 images"));
  for (const char* bad : {"set/shoe/empty.png", "absent.png", "set"}) {
    Touch("list.csv", std::string("path,label\nset/shoe/a.png,shoe\n") + bad + ",bag\n");
    EXPECT_FALSE(check(4).ok());
    EXPECT_THAT(check(4).message(), HasSubstr(Path(bad)));
  }
}

}  // namespace
}  // namespace calserve::cli
