#include "calibration_io/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/calibration_io/npy_bytes.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::vector<T> Values(const absl::StatusOr<NpyArray>& array) {
  EXPECT_TRUE(array.ok()) << array.status();
  return array.ok() ? std::get<std::vector<T>>(array->values) : std::vector<T>();
}

std::string Error(const std::string& bytes) {
  const absl::StatusOr<NpyArray> array = ParseNpy(bytes, "logits.npy");
  EXPECT_TRUE(absl::IsInvalidArgument(array.status())) << array.status();
  return std::string(array.status().message());
}

TEST(NpyTest, ReadsFloatsInTheirPrecision) {
  const std::string file = NpyFile(NpyHeader("<f4", "(2, 3)"), Bytes<float>({1, 2, 3, -4, 0.5f, 1e30f}));
  const absl::StatusOr<NpyArray> array = ParseNpy(file, "a");
  EXPECT_THAT(Values<float>(array), ElementsAre(1, 2, 3, -4, 0.5f, 1e30f));
  EXPECT_THAT(array->shape, ElementsAre(2, 3));
  EXPECT_THAT(Values<double>(ParseNpy(NpyFile(NpyHeader("<f8", "(2,)"), Bytes<double>({0.1, -1e300})), "a")),
              ElementsAre(0.1, -1e300));
}

template <typename T>
void ExpectReadsInteger(const std::string& descr) {
  const T low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  const std::string file = NpyFile(NpyHeader(descr, "(3,)"), Bytes<T>({low, 7, high}));
  const int64_t widest = sizeof(T) == 8 ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(high);
  EXPECT_THAT(Values<int64_t>(ParseNpy(file, "a")), ElementsAre(static_cast<int64_t>(low), 7, widest))
      << descr;
}

TEST(NpyTest, ReadsIntegersOfEveryWidth) {
  ExpectReadsInteger<int8_t>("|i1");
  ExpectReadsInteger<int16_t>("<i2");
  ExpectReadsInteger<int32_t>("<i4");
  ExpectReadsInteger<int64_t>("<i8");
  ExpectReadsInteger<uint8_t>("|u1");
  ExpectReadsInteger<uint16_t>("<u2");
  ExpectReadsInteger<uint32_t>("<u4");
  ExpectReadsInteger<uint64_t>("<u8");
}

TEST(NpyTest, ReadsFormatVersions1To3) {
  for (const int major : {1, 2, 3}) {
    const std::string file = NpyFile(NpyHeader("|u1", "(2,)"), Bytes<uint8_t>({3, 9}), major);
    EXPECT_THAT(Values<int64_t>(ParseNpy(file, "a")), ElementsAre(3, 9)) << major;
  }
  EXPECT_THAT(Error(NpyFile(NpyHeader("|u1", "(2,)"), "ab", 4)),
              HasSubstr("version must be 1, 2 or 3; was 4"));
}

TEST(NpyTest, TransposesFortranOrder) {
  const std::string file = NpyFile(NpyHeader("<f4", "(2, 3)", true), Bytes<float>({1, 4, 2, 5, 3, 6}));
  EXPECT_THAT(Values<float>(ParseNpy(file, "a")), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(NpyTest, ReadsEmptyArrays) {
  const absl::StatusOr<NpyArray> array = ParseNpy(NpyFile(NpyHeader("<f4", "(0, 10)"), ""), "a");
  EXPECT_THAT(Values<float>(array), ElementsAre());
  EXPECT_THAT(array->shape, ElementsAre(0, 10));
  EXPECT_THAT(Values<float>(ParseNpy(NpyFile(NpyHeader("<f4", "(3, 0)", true), ""), "a")), ElementsAre());
}

TEST(NpyTest, NamesADtypeThatItDoesNotRead) {
  for (const char* descr : {"<f2", "|b1", "<c8", "<U5", "|O", "|V8", "<f16", "f4", "", "<"}) {
    EXPECT_THAT(
        Error(NpyFile(NpyHeader(descr, "(1,)"), std::string(16, '\0'))),
        HasSubstr("logits.npy: dtype must be float32, float64, int8 to int64 or uint8 to uint64; was"));
  }
  EXPECT_THAT(Error(NpyFile(NpyHeader(">f4", "(1,)"), std::string(4, '\0'))),
              HasSubstr("dtype >f4 is big-endian; save it as .astype('<f4')"));
  EXPECT_THAT(Error(NpyFile("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "1234")),
              HasSubstr("structured dtype"));
}

TEST(NpyTest, NamesAShapeThatItDoesNotRead) {
  EXPECT_THAT(Error(NpyFile(NpyHeader("|u1", "()"), "a")),
              HasSubstr("shape (N) or (N, K) is needed; has shape ()"));
  EXPECT_THAT(Error(NpyFile(NpyHeader("|u1", "(1, 2, 2)"), "abcd")), HasSubstr("has shape (1, 2, 2)"));
}

TEST(NpyTest, ReadsMoreDimensionsWhereTheyAreAllowed) {
  const std::string file = NpyFile(NpyHeader("<f4", "(1, 2, 3)"), Bytes<float>({1, 2, 3, 4, 5, 6}));
  const absl::StatusOr<NpyArray> array = ParseNpy(file, "input.npy", 3);
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_THAT(array->shape, ElementsAre(1, 2, 3));
  EXPECT_THAT(std::get<std::vector<float>>(array->values), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Error(file), HasSubstr("an array of shape (N) or (N, K) is needed; has shape (1, 2, 3)"));
  const std::string transposed =
      NpyFile(NpyHeader("<f4", "(1, 2, 3)", /*fortran=*/true), Bytes<float>({1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(std::string(ParseNpy(transposed, "input.npy", 3).status().message()), HasSubstr("C order"));
}

TEST(NpyTest, RefusesAShapeThatTheFileDoesNotHold) {
  for (const char* shape : {"(5,)", "(3,)", "(9223372036854775807, 2)", "(4294967296, 4294967296)",
                            "(1, 4, )", "(9223372036854775807,)", "(2, 2)"}) {
    const std::string file = NpyFile(NpyHeader("<i2", shape), "abcd");
    if (std::string(shape) == "(2, 2)" || std::string(shape) == "(1, 4, )") {
      EXPECT_THAT(Error(file), HasSubstr("does not fit the 4 bytes")) << shape;
    } else {
      EXPECT_THAT(Error(file), HasSubstr("truncated or damaged")) << shape;
    }
  }
  EXPECT_THAT(Error(NpyFile(NpyHeader("<i4", "(1,)"), "abcde")), HasSubstr("does not fit the 5 bytes"));
}

TEST(NpyTest, RefusesDamagedHeaders) {
  for (const char* header :
       {"", "{", "}", "{}", "[]", "{'descr'", "{'descr':", "{'descr': '<f4', ", "{'descr': '<f4}",
        "{descr: '<f4'}", "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (1",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
        "{'descr': '<f4', 'shape': (1,)}"}) {
    EXPECT_THAT(Error(NpyFile(header, "1234")), HasSubstr("logits.npy: the .npy header")) << header;
  }
}

TEST(NpyTest, RefusesEveryTruncation) {
  const std::string file = NpyFile(NpyHeader("<f8", "(2, 2)"), std::string(32, '\0'));
  for (size_t size = 0; size < file.size(); ++size) Error(file.substr(0, size));
  EXPECT_THAT(Error("PK\x03\x04"), HasSubstr("is not a .npy file"));
  std::string huge = std::string("\x93NUMPY\x02\x00", 8) + "\xff\xff\xff\x7f";
  EXPECT_THAT(Error(huge), HasSubstr("header must have at most"));
}

}  // namespace
}  // namespace calserve
