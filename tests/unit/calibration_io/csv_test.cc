#include "calibration_io/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibration_io/file.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(CsvTest, ReadsNumbersWithAndWithoutHeader) {
  for (const char* text : {"1,2\n3,-4.5e3\n", "a,b\n1,2\n3,-4.5e3", "1,2\r\n\r\n3,-4.5e3\r\n",
                           "\xEF\xBB\xBF"
                           "1,2\n3,-4.5e3\n",
                           " 1 , 2\n\"3\",-4.5e3"}) {
    const absl::StatusOr<CsvNumbers> numbers = ParseCsvNumbers(text, "f.csv");
    ASSERT_TRUE(numbers.ok()) << numbers.status();
    EXPECT_EQ(numbers->columns, 2);
    EXPECT_THAT(numbers->values, ElementsAre(1, 2, 3, -4500));
  }
  EXPECT_THAT(ParseCsvNumbers("", "f.csv")->values, IsEmpty());
}

TEST(CsvTest, NamesTheLineAndTheValue) {
  EXPECT_THAT(ParseCsvNumbers("1,2\n3\n", "f.csv").status().message(),
              HasSubstr("f.csv:2: every line must have"));
  EXPECT_THAT(ParseCsvNumbers("1,2\n3,x\n", "f.csv").status().message(),
              HasSubstr("f.csv:2: a number is needed; was 'x'"));
  EXPECT_THAT(ParseCsvNumbers("1,2\n3,4 5\n", "f.csv").status().message(), HasSubstr("'4 5'"));
  EXPECT_THAT(ParseCsvIntegers("1\n\n2.5\n", "y.csv").status().message(), HasSubstr("y.csv:3: one integer"));
  EXPECT_THAT(ParseCsvIntegers("1\n99999999999999999999\n", "y.csv").status().message(),
              HasSubstr("y.csv:2"));
  EXPECT_THAT(ParseLabelledPaths("a.png\n", "l.csv").status().message(),
              HasSubstr("l.csv:1: 'path,label' is needed"));
  EXPECT_THAT(ParseLabelledPaths("path,lable\na.png,1\n", "l.csv").status().message(),
              HasSubstr("l.csv:1: the header must be path,label; was path,lable"));
  EXPECT_TRUE(ParseLabelledPaths("path,label\npath,1\n", "l.csv").ok());
  EXPECT_THAT(ParseLabelledPaths("\"a.png,1\n", "l.csv").status().message(), HasSubstr("not closed"));
  EXPECT_THAT(ParseLabelledPaths("\"a\"b,1\n", "l.csv").status().message(), HasSubstr("a comma must follow"));
}

TEST(CsvTest, RefusesWhatWouldTakeManyTimesItsSizeAsNumbers) {
  std::string text = "0";
  for (int k = 1; k < 1024; ++k) text += ",0";
  EXPECT_TRUE(ParseCsvNumbers(text + std::string(1000, '\n'), "f.csv").ok());
  EXPECT_THAT(ParseCsvNumbers(text + std::string(131'072, '\n'), "f.csv").status().message(),
              HasSubstr("f.csv in memory, 131073 lines of 1024 float64, is larger than the limit of 1 GiB"));
}

TEST(CsvTest, ReadsIntegers) {
  EXPECT_THAT(*ParseCsvIntegers("label\n3\n-1\n", "y.csv"), ElementsAre(3, -1));
}

TEST(CsvTest, ReadsLabelledPaths) {
  const auto paths = ParseLabelledPaths("Path,Label\nimg/a.png,Sneaker\n\"b, c \"\"d\"\".png\",3\n", "l.csv");
  ASSERT_TRUE(paths.ok()) << paths.status();
  ASSERT_EQ(paths->size(), 2u);
  EXPECT_EQ((*paths)[0].path, "img/a.png");
  EXPECT_EQ((*paths)[0].label, "Sneaker");
  EXPECT_EQ((*paths)[1].path, "b, c \"d\".png");
  EXPECT_EQ((*paths)[1].label, "3");
}

TEST(CsvTest, RefusesALineThatWouldTakeManyTimesItsSize) {
  const std::string line(static_cast<size_t>(kMaxLineBytes) + 1, ',');
  EXPECT_EQ(ParseCsvNumbers("1\n" + line, "L.csv").status().message(),
            "line 2 of L.csv is larger than the limit of 16 MiB");
}

}  // namespace
}  // namespace calserve
