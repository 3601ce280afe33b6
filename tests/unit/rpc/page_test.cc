#include "server/rpc/page.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace calserve {
namespace {

using ::testing::HasSubstr;

void ExpectPage(const absl::StatusOr<Page>& page, size_t begin, size_t end, const std::string& next) {
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->begin, begin);
  EXPECT_EQ(page->end, end);
  EXPECT_EQ(page->next_token, next);
}

TEST(PageTest, TheTokensLeadThroughEveryItemOnce) {
  std::string token;
  size_t next = 0;
  int pages = 0;
  do {
    const absl::StatusOr<Page> page = PageOf(10, 3, token);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->begin, next);
    next = page->end;
    token = page->next_token;
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(next, 10u);
  EXPECT_EQ(pages, 4);
}

TEST(PageTest, TheLastPageHasNoToken) {
  ExpectPage(PageOf(3, 3, ""), 0, 3, "");
  ExpectPage(PageOf(6, 3, "3"), 3, 6, "");
  ExpectPage(PageOf(0, 3, ""), 0, 0, "");
}

TEST(PageTest, APageIsOf100ItemsUnlessAnotherSizeIsAskedFor) {
  ExpectPage(PageOf(2000, 0, ""), 0, 100, "100");
  ExpectPage(PageOf(2000, 0, "100"), 100, 200, "200");
  ExpectPage(PageOf(2000, 1000, ""), 0, 1000, "1000");
}

TEST(PageTest, APageEndsBeforeItIsTooLarge) {
  const std::vector<int> percent = {40, 59, 2, 500, 20, 79, 2};
  const auto item_at = [&](size_t item) {
    google::protobuf::BytesValue value;
    value.set_value(std::string(kMaxPageBytes / 100 * percent[item], 'x'));
    return value;
  };
  const auto page_after = [&](const std::string& token, size_t begin, size_t end, const std::string& next) {
    absl::StatusOr<Page> page = PageOf(percent.size(), 6, token);
    ASSERT_TRUE(page.ok()) << page.status();
    google::protobuf::RepeatedPtrField<google::protobuf::BytesValue> items;
    FillPage<google::protobuf::BytesValue>(*page, item_at, items);
    ExpectPage(page, begin, end, next);
    ASSERT_EQ(items.size(), static_cast<int>(end - begin));
    for (size_t item = begin; item < end; ++item)
      EXPECT_EQ(items[static_cast<int>(item - begin)].value(), item_at(item).value());
  };
  page_after("", 0, 2, "2");
  page_after("2", 2, 3, "3");
  page_after("3", 3, 4, "4");  // larger than a page by itself
  page_after("4", 4, 6, "6");
  page_after("6", 6, 7, "");
}

TEST(PageTest, APageSizeOutOfRangeNamesItsField) {
  for (const int32_t size : {-1, 1001, INT32_MAX, INT32_MIN}) {
    const absl::Status status = PageOf(5, size, "").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorField(status), "page_size");
    EXPECT_EQ(status.message(), absl::StrCat("page_size must be 0 (100) to 1000; was ", size));
  }
}

TEST(PageTest, ATokenThatNoPageGaveIsRefused) {
  for (const char* token :
       {"x", "-1", "6", "0", "00", "03", "+3", " 3", "1.5", "0x1", "99999999999999999999999"}) {
    const absl::Status status = PageOf(5, 2, token).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << token;
    EXPECT_EQ(ErrorField(status), "page_token");
    EXPECT_THAT(std::string(status.message()), HasSubstr("page_token"));
  }
}

// Of a list that has become shorter since.
TEST(PageTest, ATokenAtTheEndGivesAnEmptyLastPage) { ExpectPage(PageOf(4, 2, "4"), 4, 4, ""); }

}  // namespace
}  // namespace calserve
