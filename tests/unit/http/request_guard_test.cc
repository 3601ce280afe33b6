#include "server/http/request_guard.h"

#include <gtest/gtest.h>

#include <string>

namespace calserve {
namespace {

bool Passes(const std::string& host, const std::string& origin = "") {
  return CheckSameSite(host, origin, {"calserve.example", "Other.example"}).ok();
}

TEST(RequestGuardTest, TakesAddressesLocalhostAndTheNamesThatAreAllowed) {
  for (const char* host : {"127.0.0.1", "127.0.0.1:8501", "10.1.2.3:80", "[::1]", "[::1]:8501", "localhost",
                           "LOCALHOST:8501", "calserve.example", "Calserve.Example:8501", "other.example"}) {
    EXPECT_TRUE(Passes(host)) << host;
  }
}

// A page of evil.example whose name leads to this machine by now.
TEST(RequestGuardTest, RefusesEveryOtherName) {
  for (const char* host : {"", ":8501", "evil.example", "evil.example:8501", "127.0.0.1.evil.example",
                           "calserve.example.evil.example", "localhost.evil.example",
                           "127.0.0.1@evil.example", "evil.example#127.0.0.1", "999.0.0.1", "[evil]"}) {
    EXPECT_EQ(CheckSameSite(host, "", {"calserve.example"}).code(), absl::StatusCode::kPermissionDenied)
        << host;
  }
}

TEST(RequestGuardTest, AnOriginMustBeTheServerItself) {
  EXPECT_TRUE(Passes("127.0.0.1:8501", "http://127.0.0.1:8501"));
  EXPECT_TRUE(Passes("calserve.example", "https://calserve.example"));
  for (const char* origin :
       {"null", "http://127.0.0.1", "http://127.0.0.1:8502", "http://evil.example", "127.0.0.1:8501",
        "file://127.0.0.1:8501", "http://127.0.0.1:8501.evil.example"}) {
    EXPECT_FALSE(Passes("127.0.0.1:8501", origin)) << origin;
  }
}

TEST(RequestGuardTest, AScraperMayAlsoCallItByANameThatNobodyElseCanHave) {
  const std::vector<std::string> allowed = {"calserve.monitoring.svc"};
  for (const char* host : {"", "calserve", "calserve:8501", "10.1.2.3:8501", "[::1]:8501", "localhost:8501",
                           "calserve.monitoring.svc:8501"}) {
    EXPECT_TRUE(CheckScrape(host, "", allowed).ok()) << host;
  }
  for (const char* host : {"evil.example", "evil.example:8501", "evil.", "127.0.0.1.evil.example", "a.b.svc"})
    EXPECT_FALSE(CheckScrape(host, "", allowed).ok()) << host;
  EXPECT_FALSE(CheckScrape("calserve:8501", "http://evil.example", allowed).ok());
}

TEST(RequestGuardTest, SaysWhichNameItRefused) {
  EXPECT_NE(CheckSameSite("evil.example", "", {}).message().find("\"evil.example\""),
            absl::string_view::npos);
}

}  // namespace
}  // namespace calserve
