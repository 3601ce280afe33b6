#include "server/config/load_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/config/exit_codes.h"
#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LoadConfigTest : public ::testing::Test {
 protected:
  using Loaded = absl::StatusOr<std::variant<ServerConfig, EarlyExit>>;

  // Writes the YAML file that --config names from then on.
  void WriteFile(const std::string& text) { file_ = dir_.Write("calserve.yaml", text); }

  Loaded Load(std::vector<std::string> flags, const Environment& environment = {}) {
    std::vector<const char*> argv = {"calserve-server"};
    if (!file_.empty()) flags.push_back("--config=" + file_);
    for (const std::string& flag : flags) argv.push_back(flag.c_str());
    return LoadConfig(static_cast<int>(argv.size()), argv.data(), environment);
  }
  // With a model repository set.
  ServerConfig LoadOrDie(std::vector<std::string> flags, const Environment& environment = {}) {
    flags.push_back("--model-repository=models");
    const Loaded loaded = Load(std::move(flags), environment);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return std::get<ServerConfig>(*loaded);
  }
  std::string ErrorOf(std::vector<std::string> flags, const Environment& environment = {}) {
    const Loaded loaded = Load(std::move(flags), environment);
    EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument) << loaded.status();
    return std::string(loaded.status().message());
  }
  std::string ErrorOfFile(const std::string& text) {
    WriteFile(text);
    return ErrorOf({"--model-repository=models"});
  }
  EarlyExit Exit(std::vector<std::string> flags, const Environment& environment = {}) {
    const Loaded loaded = Load(std::move(flags), environment);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return std::get<EarlyExit>(*loaded);
  }

  TempDir dir_;
  std::string file_;
};

TEST_F(LoadConfigTest, EverythingButTheRepositoryHasADefault) {
  const ServerConfig config = LoadOrDie({});
  EXPECT_EQ(config.model_repository, "models");
  EXPECT_EQ(config.grpc.listen, "127.0.0.1:8500");
  EXPECT_EQ(config.grpc.max_message_bytes, 64 << 20);
  EXPECT_EQ(config.store.data_dir, "calserve-data");
  EXPECT_EQ(config.retention, absl::Hours(30 * 24));
  EXPECT_EQ(config.batching.max_queue_rows, 1024);
  EXPECT_EQ(config.decoding.max_queued_images, 256);
  EXPECT_EQ(config.decode_limits.max_pixels, 40'000'000);
  EXPECT_THAT(config.monitoring.windows,
              ElementsAre("last_1000", "last_10000", "last_1h", "last_24h", "decay_1h"));
  EXPECT_THAT(ErrorOf({}), HasSubstr("--model-repository"));
}

TEST_F(LoadConfigTest, ModelsAreNamedForTheStartOnlyWhereTheyAreLoadedByCall) {
  EXPECT_EQ(LoadOrDie({}).repository.control, "none");
  const ServerConfig config = LoadOrDie({"--repository-control=explicit", "--repository-load=cats,dogs"});
  EXPECT_EQ(config.repository.control, "explicit");
  EXPECT_THAT(config.repository.load, ElementsAre("cats", "dogs"));
  EXPECT_THAT(ErrorOf({"--model-repository=models", "--repository-load=cats", "--repository-control=poll"}),
              HasSubstr("repository.load is for repository.control: explicit; it is poll"));
  EXPECT_THAT(ErrorOf({"--model-repository=models", "--repository-control=auto"}),
              HasSubstr("none | poll | explicit"));
}

TEST_F(LoadConfigTest, ACheckNeedsNoRepository) {
  const Loaded loaded = Load({"--check=models/pets"});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(std::get<ServerConfig>(*loaded).check, "models/pets");
  EXPECT_EQ(LoadOrDie({}).check, "");
  EXPECT_THAT(ErrorOf({"--check", ""}), HasSubstr("--check needs a DIRECTORY"));
}

TEST_F(LoadConfigTest, AFlagBeatsTheEnvironmentWhichBeatsTheFileWhichBeatsTheDefault) {
  const Environment environment = {{"CALSERVE_BATCHING_MAX_QUEUE_ROWS", "300"}};
  EXPECT_EQ(LoadOrDie({}).batching.max_queue_rows, 1024);
  WriteFile("batching:\n  max_queue_rows: 200\n");
  EXPECT_EQ(LoadOrDie({}).batching.max_queue_rows, 200);
  EXPECT_EQ(LoadOrDie({}, environment).batching.max_queue_rows, 300);
  EXPECT_EQ(LoadOrDie({"--batching-max-queue-rows", "400"}, environment).batching.max_queue_rows, 400);
}

TEST_F(LoadConfigTest, AQueueTakesTheLargestBatchWhereItsRowsAreNotSet) {
  EXPECT_EQ(LoadOrDie({"--batching-max-batch-size=5000"}).batching.max_queue_rows, 5000);
  EXPECT_EQ(LoadOrDie({"--batching-max-batch-size=500"}).batching.max_queue_rows, 1024);
  EXPECT_THAT(ErrorOf({"--model-repository=models", "--batching-max-batch-size=5000",
                       "--batching-max-queue-rows=4000"}),
              HasSubstr("batching.max_queue_rows must be at least batching.max_batch_size, 5000; was 4000"));
}

TEST_F(LoadConfigTest, AShortFlagIsTheSameOption) {
  const ServerConfig config = LoadOrDie({"--lame-duck", "7s", "--drain-timeout=8s"});
  EXPECT_EQ(config.grpc.lame_duck, absl::Seconds(7));
  EXPECT_EQ(config.grpc.drain_timeout, absl::Seconds(8));
  EXPECT_THAT(ErrorOf({"--lame-duck", "7s", "--grpc-lame-duck", "7s"}), HasSubstr("--grpc-lame-duck"));
}

TEST_F(LoadConfigTest, EveryKindOfValueIsReadFromTheFile) {
  WriteFile(R"(
listen: "0.0.0.0:9000"
insecure: true
log_level: debug
retention: 60d
grpc: {max_message_bytes: 1MiB, drain_timeout: 1m30s}
monitoring:
  windows: [last_50, decay_15m]
tickets:
)");
  const ServerConfig config = LoadOrDie({});
  EXPECT_EQ(config.grpc.listen, "0.0.0.0:9000");
  EXPECT_TRUE(config.insecure);
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.retention, absl::Hours(60 * 24));
  EXPECT_EQ(config.grpc.max_message_bytes, 1 << 20);
  EXPECT_EQ(config.grpc.drain_timeout, absl::Seconds(90));
  EXPECT_THAT(config.monitoring.windows, ElementsAre("last_50", "decay_15m"));
}

TEST_F(LoadConfigTest, AListInAFlagOrVariableHasCommas) {
  EXPECT_THAT(LoadOrDie({"--monitoring-windows=last_10, last_1h"}).monitoring.windows,
              ElementsAre("last_10", "last_1h"));
}

TEST_F(LoadConfigTest, AFlagAloneIsTrue) {
  EXPECT_FALSE(LoadOrDie({}).insecure);
  EXPECT_TRUE(LoadOrDie({"--insecure"}).insecure);
  EXPECT_FALSE(LoadOrDie({"--insecure=false"}, {{"CALSERVE_INSECURE", "true"}}).insecure);
  EXPECT_TRUE(LoadOrDie({}, {{"CALSERVE_INSECURE", "true"}}).insecure);
  EXPECT_THAT(ErrorOf({}, {{"CALSERVE_INSECURE", "yes"}}),
              HasSubstr("CALSERVE_INSECURE: insecure must be true | false; was \"yes\""));
}

TEST_F(LoadConfigTest, PlainTextBeyondLoopbackMustBeSpelledOut) {
  for (const char* flag : {"--listen=0.0.0.0:8500", "--listen=[::]:8500", "--listen=10.0.0.1:8500",
                           "--listen=localhost.example:8500", "--admin-listen=0.0.0.0:8501"}) {
    EXPECT_THAT(ErrorOf({flag, "--model-repository=m"}), HasSubstr("--insecure")) << flag;
    EXPECT_TRUE(Load({flag, "--insecure", "--model-repository=m"}).ok()) << flag;
  }
  for (const char* flag : {"--listen=127.1.2.3:8500", "--listen=[::1]:8500", "--listen=localhost:8500"}) {
    EXPECT_TRUE(Load({flag, "--model-repository=m"}).ok()) << flag;
  }
  const std::vector<std::string> tls = {"--listen=0.0.0.0:8500", "--tls-certificate-file=c",
                                        "--tls-key-file=k", "--admin-listen=0.0.0.0:8501",
                                        "--model-repository=m"};
  EXPECT_TRUE(Load(tls).ok());
  std::vector<std::string> plain_admin = tls;
  plain_admin.push_back("--admin-tls=off");
  EXPECT_THAT(ErrorOf(plain_admin), HasSubstr("admin_listen 0.0.0.0:8501"));
}

TEST_F(LoadConfigTest, WhatIsForJwtsNeedsTheirKeys) {
  for (const char* flag : {"--access-jwt-issuer=https://idp.example", "--access-jwt-audience=calserve"})
    EXPECT_THAT(ErrorOf({flag, "--model-repository=m"}), HasSubstr("needs access.jwks_file")) << flag;
}

TEST_F(LoadConfigTest, AnAllowedHostIsANameAlone) {
  EXPECT_TRUE(
      Load({"--admin-allowed-hosts=calserve.example,calserve,a-b_c.svc", "--model-repository=m"}).ok());
  for (const char* host : {"https://calserve.example", "calserve.example:8501", "*.example", "*", "a b",
                           ".example", "example.", "calserve.example/", "[::1]", "a\nb"}) {
    EXPECT_THAT(ErrorOf({absl::StrCat("--admin-allowed-hosts=", host), "--model-repository=m"}),
                HasSubstr("admin.allowed_hosts: each must be a host name alone"))
        << host;
  }
}

TEST_F(LoadConfigTest, ANewTokenIsPrintedWithItsLine) {
  const EarlyExit made = Exit({"--new-token", "grafana=read"});
  EXPECT_EQ(made.code, kExitOk);
  EXPECT_THAT(made.text,
              MatchesRegex("#[^\n]+\ncalserve_[A-Za-z0-9_-]+\n#[^\n]+\ngrafana read sha256:[0-9a-f]+\n"));
  EXPECT_EQ(Exit({"--new-token", "grafana=root"}).code, kExitConfig);
}

TEST_F(LoadConfigTest, AnEmptyValueIsAValue) {
  WriteFile("store: sqlite:///a.db\n");
  EXPECT_EQ(LoadOrDie({"--store", ""}).store.url, "");
  EXPECT_EQ(LoadOrDie({}, {{"CALSERVE_STORE", ""}}).store.url, "");
}

TEST_F(LoadConfigTest, TheFileMayBeNamedByTheEnvironment) {
  const std::string file = dir_.Write("other.yaml", "listen: 127.0.0.1:1\n");
  EXPECT_EQ(LoadOrDie({}, {{"CALSERVE_CONFIG", file}}).grpc.listen, "127.0.0.1:1");
}

TEST_F(LoadConfigTest, AnUnknownKeyIsNamedWithItsLineAndTheNearest) {
  EXPECT_THAT(
      ErrorOfFile("listen: a:1\nbatching:\n  max_queue_row: 5\n"),
      HasSubstr(
          "calserve.yaml:3: unknown key batching.max_queue_row; did you mean batching.max_queue_rows?"));
  EXPECT_THAT(ErrorOfFile("\nbatchin:\n  max_queue_rows: 5\n"),
              HasSubstr("calserve.yaml:2: unknown key batchin; did you mean batching?"));
  EXPECT_THAT(ErrorOfFile("lisen: a:1\n"), HasSubstr("unknown key lisen; did you mean listen?"));
}

TEST_F(LoadConfigTest, AKeyThatIsGivenTwiceIsNamedWithBothLines) {
  EXPECT_THAT(ErrorOfFile("listen: a:1\n\nlisten: a:2\n"),
              HasSubstr("calserve.yaml:3: listen is given twice, first on line 1"));
}

TEST_F(LoadConfigTest, ABadValueIsNamedWithItsPlaceItselfAndWhatIsAllowed) {
  EXPECT_THAT(
      ErrorOfFile("# rows\nbatching:\n  max_queue_rows: many\n"),
      HasSubstr("calserve.yaml:3: batching.max_queue_rows must be a whole number from 1 to 10000000; was "
                "\"many\""));
  EXPECT_THAT(ErrorOfFile("batching: {max_queue_rows: 0}\n"), HasSubstr("was \"0\""));
  EXPECT_THAT(ErrorOfFile("grpc: {drain_timeout: 30}\n"), HasSubstr("a duration from 0s to 1h; was \"30\""));
  EXPECT_THAT(ErrorOfFile("grpc: {max_message_bytes: 64MB}\n"),
              HasSubstr("a size from 1KiB to 1GiB; was \"64MB\""));
  EXPECT_THAT(ErrorOfFile("log_level: loud\n"), HasSubstr("debug | info | warn | error; was \"loud\""));
  EXPECT_THAT(ErrorOfFile("listen: [a, b]\n"), HasSubstr("calserve.yaml:1: listen must be"));
  EXPECT_THAT(ErrorOfFile("listen:\n"), HasSubstr("was nothing"));
  EXPECT_THAT(ErrorOfFile("batching: 5\n"), HasSubstr("batching is a section"));
  EXPECT_THAT(ErrorOfFile("monitoring: {windows: [[a]]}\n"), HasSubstr("a list of something else"));
}

TEST_F(LoadConfigTest, ABadValueIsAnErrorEvenWhereAnotherBeatsIt) {
  WriteFile("log_level: loud\n");
  EXPECT_THAT(ErrorOf({"--log-level=info", "--model-repository=m"}), HasSubstr("calserve.yaml:1: log_level"));
}

TEST_F(LoadConfigTest, ABadOrUnknownVariableIsNamed) {
  EXPECT_THAT(ErrorOf({}, {{"CALSERVE_RETENTION", "soon"}}),
              HasSubstr("CALSERVE_RETENTION: retention must be"));
  EXPECT_THAT(ErrorOf({}, {{"CALSERVE_LISTN", "a:1"}}),
              HasSubstr("unknown variable CALSERVE_LISTN; did you mean CALSERVE_LISTEN?"));
}

TEST_F(LoadConfigTest, VariablesThatOthersSetAreNotOurs) {
  // Kubernetes, for services named calserve and calserve-canary; and our tests.
  LoadOrDie({}, {{"CALSERVE_PORT", "tcp://10.0.0.1:8500"},
                 {"CALSERVE_SERVICE_HOST", "10.0.0.1"},
                 {"CALSERVE_SERVICE_PORT_GRPC", "8500"},
                 {"CALSERVE_PORT_8500_TCP_ADDR", "10.0.0.1"},
                 {"CALSERVE_CANARY_SERVICE_HOST", "10.0.0.2"},
                 {"CALSERVE_KILLS", "200"},
                 {"PATH", "/bin"}});
}

TEST_F(LoadConfigTest, ABadOrUnknownFlagIsNamed) {
  EXPECT_THAT(ErrorOf({"--listn=a:1"}), HasSubstr("unknown flag --listn; did you mean --listen?"));
  EXPECT_THAT(ErrorOf({"--listen=a:1", "--listen=a:2"}),
              HasSubstr("--listen must be given once; is there 2 times"));
  EXPECT_THAT(ErrorOf({"--insecure", "--insecure"}),
              HasSubstr("--insecure must be given once; is there 2 times"));
  EXPECT_THAT(ErrorOf({"--log-level=loud"}), HasSubstr("--log-level: log_level must be"));
  EXPECT_THAT(ErrorOf({"--listen"}), HasSubstr("--listen"));
  EXPECT_THAT(ErrorOf({"--listen=a:1", "--listen=b:1"}), HasSubstr("--listen"));
  EXPECT_THAT(ErrorOf({"--validate-only=no"}), HasSubstr("validate-only was given"));
  EXPECT_THAT(ErrorOf({"models"}), HasSubstr("unexpected argument models"));
}

TEST_F(LoadConfigTest, WhatMustHoldBetweenOptionsIsChecked) {
  const auto error = [&](std::vector<std::string> flags) {
    flags.push_back("--model-repository=models");
    return ErrorOf(std::move(flags));
  };
  EXPECT_THAT(error({"--retention=14d"}), HasSubstr("feedback_ttl"));
  EXPECT_THAT(error({"--listen=localhost"}), HasSubstr("listen must be HOST:PORT"));
  EXPECT_THAT(error({"--listen=localhost:99999"}), HasSubstr("listen must be HOST:PORT"));
  EXPECT_THAT(error({"--admin-listen=127.0.0.1:x"}), HasSubstr("admin_listen must be HOST:PORT"));
  EXPECT_THAT(error({"--monitoring-windows=last_sunday"}), HasSubstr("last_sunday"));
  EXPECT_THAT(error({"--monitoring-windows=last_10,last_10"}), HasSubstr("differ in name"));
  EXPECT_THAT(error({"--monitoring-window-max-labels=30000000"}),
              AllOf(HasSubstr("window_max_labels = 30000000"), HasSubstr("windows = last_1000,")));
  EXPECT_THAT(error({"--batching-max-queue-rows=8"}), HasSubstr("batching.max_batch_size, 32; was 8"));
}

TEST_F(LoadConfigTest, HelpNamesEveryFlagWithItsDefault) {
  const EarlyExit help = Exit({"--help"});
  EXPECT_EQ(help.code, kExitOk);
  EXPECT_THAT(help.text,
              AllOf(HasSubstr("--model-repository"), HasSubstr("ROWS=1024"), HasSubstr("SIZE=256MiB"),
                    HasSubstr("--validate-only"), HasSubstr("CALSERVE_")));
}

TEST_F(LoadConfigTest, VersionIsOneLine) {
  EXPECT_THAT(Exit({"--version"}).text, MatchesRegex("calserve-server [0-9.]+\n"));
}

TEST_F(LoadConfigTest, PrintConfigSaysWhereEachValueIsFromAndReadsBack) {
  WriteFile("batching:\n  max_queue_rows: 200\n");
  const EarlyExit printed =
      Exit({"--print-config", "--model-repository=a b: c", "--monitoring-windows=last_7"},
           {{"CALSERVE_RETENTION", "90d"}});
  EXPECT_THAT(printed.text,
              AllOf(HasSubstr("# --model-repository"), HasSubstr("retention: 90d  # CALSERVE_RETENTION"),
                    HasSubstr(absl::StrCat("max_queue_rows: 200  # ", file_, ":2")), HasSubstr("# default")));
  WriteFile(printed.text);
  const Loaded again = Load({});
  ASSERT_TRUE(again.ok()) << again.status() << printed.text;
  const ServerConfig& config = std::get<ServerConfig>(*again);
  EXPECT_EQ(config.model_repository, "a b: c");
  EXPECT_EQ(config.store.url, "");
  EXPECT_EQ(config.retention, absl::Hours(90 * 24));
  EXPECT_EQ(config.batching.max_queue_rows, 200);
  EXPECT_THAT(config.monitoring.windows, ElementsAre("last_7"));
}

TEST_F(LoadConfigTest, ValidateOnlyReadsTheModels) {
  const std::string models =
      absl::StrCat("--model-repository=", CALSERVE_SOURCE_DIR, "/examples/fashion_mnist/models");
  const EarlyExit valid = Exit({"--validate-only", models});
  EXPECT_EQ(valid.code, kExitOk) << valid.text;
  EXPECT_THAT(valid.text, HasSubstr("fashion_mnist: 10 labels, versions 1"));

  const EarlyExit empty = Exit({"--validate-only", "--model-repository=" + dir_.path()});
  EXPECT_EQ(empty.code, kExitModel);
  EXPECT_THAT(empty.text, HasSubstr(dir_.path()));
}

}  // namespace
}  // namespace calserve
