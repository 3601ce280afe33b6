// Versions that are AOTInductor packages, one after the other under load: no call fails, and no memory, no
// unpacked package and no mapped library of a version that is gone is kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/mutex.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

namespace fs = std::filesystem;

using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

constexpr int kSwaps = 100;
constexpr int kSettled = 20;  // swaps after which memory and mappings are compared
constexpr int kWindow = 10;   // swaps of which memory is the least: a version being loaded takes some
constexpr int kClients = 2;
constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr absl::Duration kPause = absl::Milliseconds(2);  // of a client: the cores are not saturated

// The package of the fixtures under a new number for each version, renamed into place.
class PackageRepository {
 public:
  explicit PackageRepository(const std::string& directory) : directory_(directory) {
    fs::create_directories(model_path());
    for (const char* name : {"/model.yaml", "/labels.txt"}) fs::copy(kFixture + name, model_path() + name);
    AddVersion(1);
  }
  std::string path() const { return directory_ + "/models"; }
  void AddVersion(int64_t version) const {
    const std::string staged = directory_ + "/staged";
    fs::copy(kFixture + "/1", staged, fs::copy_options::recursive);
    fs::rename(staged, model_path() + "/" + std::to_string(version));
  }
  void RemoveVersion(int64_t version) const { fs::remove_all(model_path() + "/" + std::to_string(version)); }

 private:
  std::string model_path() const { return path() + "/" + kModel; }

  const std::string kFixture = FixtureModels() + "/fashion_mnist_pt2";
  const std::string directory_;
};

// Clients that predict until they are told to stop. Thread-safe.
class Load {
 public:
  explicit Load(const std::string& address) {
    for (int i = 0; i < kClients; ++i) threads_.emplace_back([this, address] { Predict(Api(address)); });
  }
  void Stop() {
    stopping_ = true;
    threads_.clear();
  }
  std::vector<std::string> faults() const {
    MutexLock lock(&mu_);
    return faults_;
  }
  std::set<int64_t> versions() const {
    MutexLock lock(&mu_);
    return versions_;
  }

 private:
  void Predict(const Api& api) {
    for (const v1::PredictRequest request = TestTensorRequest(0, 1); !stopping_; absl::SleepFor(kPause)) {
      const auto reply = api.Predict(request);
      MutexLock lock(&mu_);
      if (reply.ok()) {
        versions_.insert(reply->model_version());
      } else {
        faults_.push_back(reply.status.message);
      }
    }
  }

  std::atomic<bool> stopping_{false};
  mutable Mutex mu_;
  std::vector<std::string> faults_ ABSL_GUARDED_BY(mu_);
  std::set<int64_t> versions_ ABSL_GUARDED_BY(mu_);  // that answered
  std::vector<std::jthread> threads_;
};

// Of a process.
struct Mappings {
  int64_t all = 0;
  std::set<std::string> packages;  // libraries below `temporary`
};

Mappings MappingsOf(pid_t pid, const std::string& temporary) {
  Mappings mappings;
  std::ifstream lines(absl::StrCat("/proc/", pid, "/maps"));
  for (std::string line; std::getline(lines, line); ++mappings.all) {
    if (const size_t path = line.find(temporary); path != std::string::npos) {
      mappings.packages.insert(line.substr(path));
    }
  }
  return mappings;
}

std::vector<std::string> EntriesOf(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  return names;
}

// The packages that the one server there has unpacked, in its folder.
std::vector<std::string> Unpacked(const std::string& temporary) {
  std::vector<std::string> packages;
  for (const std::string& folder : EntriesOf(temporary)) {
    for (std::string& entry : EntriesOf(temporary + "/" + folder)) packages.push_back(std::move(entry));
  }
  return packages;
}

class PackageSwapTest : public ::testing::Test {
 protected:
  // Until it is READY and the one before is destroyed, which is when its folder is removed.
  static bool WaitUntilAlone(const Api& api, int64_t version, const std::string& temporary) {
    for (const absl::Time end = absl::Now() + kTimeout; absl::Now() < end;
         absl::SleepFor(absl::Milliseconds(5))) {
      const v1::Model model = api.GetModel(kModel)->model();
      const auto own = std::find_if(model.versions().begin(), model.versions().end(),
                                    [&](const auto& known) { return known.version() == version; });
      if (own == model.versions().end() || own->state() != v1::MODEL_STATE_READY) continue;
      if (Unpacked(temporary).size() <= 1) return true;
    }
    return false;
  }

  TempDir data_dir_, scratch_, temporary_;
};

TEST_F(PackageSwapTest, AHundredSwapsOfPackagesUnderLoadFailNoCallAndKeepNothingOfThem) {
  const PackageRepository repository(scratch_.path());
  ServerProcess server({.model_repository = repository.path(),
                        .data_dir = data_dir_.path(),
                        .more = {"--repository-control", "poll", "--repository-poll-interval", "20ms"},
                        .environment = {"TMPDIR=" + temporary_.path(), kGiveBackAtOnce}});
  ASSERT_TRUE(server.WaitUntilServing()) << server.log();
  const Api api(server.address());
  Load load(server.address());
  ASSERT_THAT(MappingsOf(server.pid(), temporary_.path()).packages, SizeIs(1)) << "or nothing is seen here";

  int64_t settled_kb = std::numeric_limits<int64_t>::max(), end_kb = settled_kb;
  int64_t settled_mappings = 0;
  for (int swap = 1; swap <= kSwaps; ++swap) {
    const int64_t version = swap + 1;
    repository.AddVersion(version);
    repository.RemoveVersion(version - 1);
    ASSERT_TRUE(WaitUntilAlone(api, version, temporary_.path()))
        << version << ", unpacked: " << testing::PrintToString(Unpacked(temporary_.path())) << "\n"
        << server.log();
    const Mappings now = MappingsOf(server.pid(), temporary_.path());
    // Of what serves, of what is being closed, and of what was closed last, which is unmapped after it.
    EXPECT_THAT(now.packages, SizeIs(Le(3))) << "after " << swap << " swaps";
    if (swap == kSettled) settled_mappings = now.all;
    const int64_t kb = server.StatusKilobytes("VmRSS");
    if (swap > kSettled - kWindow && swap <= kSettled) settled_kb = std::min(settled_kb, kb);
    if (swap > kSwaps - kWindow) end_kb = std::min(end_kb, kb);
  }
  const int64_t end_mappings = MappingsOf(server.pid(), temporary_.path()).all;
  load.Stop();
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(kTimeout), 0) << server.log();

  EXPECT_THAT(load.faults(), IsEmpty());
  EXPECT_GE(load.versions().size(), kSwaps * 9u / 10) << "almost every version answered while it served";
  std::cout << "RSS " << settled_kb << " kB after " << kSettled << " swaps, " << end_kb << " kB after "
            << kSwaps << "; " << settled_mappings << " mappings and " << end_mappings << "\n";
  EXPECT_GT(std::min(settled_kb, end_kb), 0);
  EXPECT_LE(end_kb - settled_kb, std::max(settled_kb / 100.0, 4.0 * 1024));
  EXPECT_LT(end_mappings - settled_mappings, kSwaps - kSettled) << "less than one a swap";
  EXPECT_THAT(EntriesOf(temporary_.path()), IsEmpty()) << "of a server that has stopped";
}

}  // namespace
}  // namespace calserve::e2e
