#include "server/feedback/store.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"
#include "server/feedback/sqlite_store.h"

namespace calserve {
namespace {

constexpr absl::string_view kSqlite = "sqlite://";

}  // namespace

bool Hold(const std::vector<AttributeRule>& rules, const Attributes& attributes) {
  return absl::c_all_of(rules, [&](const AttributeRule& rule) {
    const auto found = absl::c_find_if(attributes, [&](const auto& each) { return each.first == rule.key; });
    return found != attributes.end() && absl::c_linear_search(rule.values, found->second) != rule.excluded;
  });
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options) {
  const absl::string_view url = options.url;
  if (absl::StartsWith(url, "postgresql://") || absl::StartsWith(url, "postgres://")) {
    return absl::UnimplementedError(
        "a PostgreSQL feedback store is not supported yet: use the embedded store (leave --store out)");
  }
  if (options.busy_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("busy_timeout must be >= 0; was ", absl::FormatDuration(options.busy_timeout)));
  }
  std::string path = absl::StrCat(options.data_dir, "/calserve.db");
  if (!url.empty()) {
    if (!absl::StartsWith(url, kSqlite) || url.size() == kSqlite.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the store must be sqlite:///path/file.db, or left out; was ", url));
    }
    path = std::string(url.substr(kSqlite.size()));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, SqliteStore::Open(path, options.busy_timeout));
  return store;
}

}  // namespace calserve
