#include "server/logging/request_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>

namespace calserve {
namespace {

using ::testing::MatchesRegex;

constexpr char kParent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(RequestContextTest, TakesOverWhatTheCallerSays) {
  const RequestContext ids = RequestContext::Make("order-17/retry:2", kParent);
  EXPECT_EQ(ids.request_id(), "order-17/retry:2");
  EXPECT_EQ(ids.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(ids.parent_span_id(), "00f067aa0ba902b7");
  EXPECT_THAT(std::string(ids.span_id()), MatchesRegex("[0-9a-f]+"));
  EXPECT_NE(ids.span_id(), ids.parent_span_id());
}

TEST(RequestContextTest, MakesWhatIsMissingOrMalformed) {
  std::set<std::string> seen;
  for (const std::string& id : {std::string(), std::string("a b"), std::string("a\nb"), std::string("a\"b"),
                                std::string("a\\b"), std::string("\xC3\xA9"), std::string(129, 'a')}) {
    const RequestContext ids = RequestContext::Make(id, "00-bad");
    EXPECT_THAT(std::string(ids.request_id()), MatchesRegex("[0-9a-f]+"));
    EXPECT_EQ(ids.request_id().size(), 32u);
    EXPECT_THAT(std::string(ids.trace_id()), MatchesRegex("[0-9a-f]+"));
    EXPECT_EQ(ids.parent_span_id(), "");
    seen.insert(std::string(ids.request_id()));
    seen.insert(std::string(ids.trace_id()));
    seen.insert(std::string(ids.span_id()));
  }
  EXPECT_EQ(seen.size(), 21u);
}

TEST(RequestContextTest, TakesTheLongestIdThatIsAllowed) {
  const std::string id(RequestContext::kMaxRequestId, 'x');
  EXPECT_EQ(RequestContext::Make(id, "").request_id(), id);
}

TEST(RequestScopeTest, IsOfItsThreadAndNests) {
  const RequestContext outer = RequestContext::Make("outer", ""), inner = RequestContext::Make("inner", "");
  EXPECT_EQ(RequestScope::Current(), nullptr);
  {
    const RequestScope scope(outer);
    {
      const RequestScope nested(inner);
      EXPECT_EQ(RequestScope::Current(), &inner);
      std::thread([] { EXPECT_EQ(RequestScope::Current(), nullptr); }).join();
    }
    EXPECT_EQ(RequestScope::Current(), &outer);
  }
  EXPECT_EQ(RequestScope::Current(), nullptr);
}

}  // namespace
}  // namespace calserve
