#include "calibration_io/labelled_logits_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibration_io/file.h"
#include "tests/unit/calibration_io/npy_bytes.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Path(const std::string& name) { return ::testing::TempDir() + "/labelled_logits_" + name; }

std::string Write(const std::string& name, const std::string& content) {
  EXPECT_TRUE(WriteWholeFile(Path(name), content).ok());
  return Path(name);
}

std::string Logits(const std::string& shape, size_t count) {
  return Write("l.npy", NpyFile(NpyHeader("<f4", shape), Bytes(std::vector<float>(count, 1.5f))));
}
std::string Labels(const std::vector<int64_t>& labels) {
  return Write("y.npy", NpyFile(NpyHeader("<i8", "(" + std::to_string(labels.size()) + ",)"), Bytes(labels)));
}
std::string Error(const std::string& logits, const std::string& labels) {
  const absl::StatusOr<LabelledLogitsFile> data = ReadLabelledLogits(logits, labels);
  EXPECT_FALSE(data.ok());
  return std::string(data.status().message());
}

TEST(LabelledLogitsFileTest, ReadsNpyAndCsvAlike) {
  const std::string logits_csv = Write("l.csv", "z0,z1,z2\n1.5,1.5,1.5\n1.5,1.5,1.5\n");
  const std::string labels_csv = Write("y.csv", "0\n2\n");
  for (const std::string& logits : {Logits("(2, 3)", 6), logits_csv}) {
    for (const std::string& labels : {Labels({0, 2}), labels_csv}) {
      const absl::StatusOr<LabelledLogitsFile> data = ReadLabelledLogits(logits, labels);
      ASSERT_TRUE(data.ok()) << data.status();
      EXPECT_EQ(data->view().rows(), 2);
      EXPECT_EQ(data->view().classes(), 3);
      double row[3];
      data->view().Row(1, row);
      EXPECT_THAT(row, ElementsAre(1.5, 1.5, 1.5));
      EXPECT_THAT(data->labels, ElementsAre(0, 2));
    }
  }
}

TEST(LabelledLogitsFileTest, TakesOneLogitAsTwoClasses) {
  for (const char* shape : {"(2,)", "(2, 1)"}) {
    const absl::StatusOr<LabelledLogitsFile> data = ReadLabelledLogits(Logits(shape, 2), Labels({0, 1}));
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(data->columns, 1);
    EXPECT_EQ(data->view().classes(), 2);
  }
}

TEST(LabelledLogitsFileTest, SaysWhatIsWrong) {
  EXPECT_THAT(Error(Logits("(2, 3)", 6), Labels({0})), HasSubstr("as many rows; "));
  EXPECT_THAT(Error(Logits("(2, 3)", 6), Labels({0, 3})),
              HasSubstr("must be in [0, 2], the classes of the logits; labels[1] is 3"));
  EXPECT_THAT(Error(Logits("(2, 3)", 6), Labels({-1, 0})), HasSubstr("labels[0] is -1"));
  EXPECT_THAT(Error(Logits("(2, 3)", 6), Path("l.npy")),
              HasSubstr("labels must be N class indices of an integer type; has dtype <f4, shape (2, 3)"));
  EXPECT_THAT(Error(Labels({0, 1}), Labels({0, 1})),
              HasSubstr("logits must be float32 or float64; has dtype <i8, shape (2)"));
  EXPECT_THAT(Error(Logits("(2, 0)", 0), Labels({0, 1})),
              HasSubstr("must be (N, K) with K >= 1; has dtype <f4, shape (2, 0)"));
  EXPECT_THAT(Error(Path("absent.npy"), Labels({0})), HasSubstr("absent.npy"));
  EXPECT_THAT(Error(Write("empty.csv", "\n"), Labels({0})), HasSubstr("has no line of logits"));
}

}  // namespace
}  // namespace calserve
