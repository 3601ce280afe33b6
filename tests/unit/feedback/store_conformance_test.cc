#include "tests/unit/feedback/store_conformance.h"

#include "tests/unit/feedback/memory_store.h"

namespace calserve {
namespace {

absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(const std::string& directory) {
  return OpenStore({.data_dir = directory});
}

absl::StatusOr<std::unique_ptr<Store>> MakeMemoryStore(const std::string&) {
  return std::make_unique<MemoryStore>();
}

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformanceTest, ::testing::Values(StoreFactory{OpenSqlite}));
INSTANTIATE_TEST_SUITE_P(Memory, StoreConformanceTest,
                         ::testing::Values(StoreFactory{MakeMemoryStore, /*durable=*/false}));

}  // namespace
}  // namespace calserve
