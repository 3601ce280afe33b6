#include "server/config/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr char kImageModel[] = R"(task: multiclass
input:
  kind: image
  size: [28, 30]
  color: rgb
max_batch_size: 16
)";

class ModelConfigTest : public ::testing::Test {
 protected:
  // A model that is right; tests then spoil it.
  ModelConfigTest() {
    WriteYaml(kImageModel);
    Write("labels.txt", "cat\ndog\nbird\n");
    Write("1/model.pt", "");
  }

  void Write(const std::string& name, const std::string& text) { repository_.Write("pets/" + name, text); }
  void Remove(const std::string& name) { repository_.Remove("pets/" + name); }
  void WriteYaml(const std::string& text) { Write("model.yaml", text); }
  std::string directory() const { return repository_.path() + "/pets"; }

  absl::StatusOr<ModelConfig> Read(const BatchingOptions& defaults = {}) {
    return ReadModelConfig(directory(), defaults);
  }
  ModelConfig ReadOrDie() {
    absl::StatusOr<ModelConfig> config = Read();
    EXPECT_TRUE(config.ok()) << config.status();
    return *std::move(config);
  }
  std::string Error() { return std::string(Read().status().message()); }
  std::string ErrorOf(const std::string& yaml) {
    WriteYaml(yaml);
    return Error();
  }
  // The image model with one text replaced.
  std::string ErrorWith(const std::string& from, const std::string& to) {
    return ErrorOf(absl::StrReplaceAll(kImageModel, {{from, to}}));
  }

  TempDir repository_;
};

TEST_F(ModelConfigTest, AnImageModelTakesItsSizeAndColor) {
  const ModelConfig config = ReadOrDie();
  EXPECT_EQ(config.name, "pets");
  EXPECT_EQ(config.task, Task::kMulticlass);
  EXPECT_EQ(config.kind, InputKind::kImage);
  EXPECT_EQ(config.image.height, 28);
  EXPECT_EQ(config.image.width, 30);
  EXPECT_THAT(config.input_shape, ElementsAre(3, 28, 30));
  EXPECT_THAT(config.labels, ElementsAre("cat", "dog", "bird"));
  EXPECT_EQ(config.device, "auto");
  EXPECT_THAT(config.notes, IsEmpty());
}

TEST_F(ModelConfigTest, EveryKeyIsRead) {
  WriteYaml(R"(
task: binary
input:
  kind: image
  size: [224, 200]
  color: bgr
  transform: opencv
  resize: 256
  crop: center
  interpolation: area
  scale: false
  mean: [1, 2.5, -3]
  std: [1, 2, 4]
max_batch_size: 8
max_queue_delay: 5ms
inline_limit: 300us
max_queue_rows: 64
max_queue_bytes: 8MiB
queue_timeout: 2s
priority_levels: 3
default_priority: 2
instances: 2
intra_op_threads: 3
batch_buckets: [2, 8]
dtype: bf16
device: cuda:1
alarm: {tolerance: 0.02, alpha: 1e-3}
refit:
  on: every
  every: 5000
  method: vector_scaling
  least_labels: 2000
  holdout: 0.25
  alpha: 0.05
  guard: 0
  cooldown: 2h
  rollback: false
)");
  Write("labels.txt", "no\nyes\n");
  const ModelConfig config = ReadOrDie();
  EXPECT_EQ(config.task, Task::kBinary);
  EXPECT_EQ(config.image.color, Color::kBgr);
  EXPECT_EQ(config.image.transform, Transform::kOpenCv);
  EXPECT_EQ(config.image.resize_shorter, 256);
  EXPECT_EQ(config.image.resize_exact, std::nullopt);
  EXPECT_EQ(config.image.interpolation, Interpolation::kArea);
  EXPECT_FALSE(config.image.scale_to_unit);
  EXPECT_THAT(config.image.mean, ElementsAre(1, 2.5, -3));
  EXPECT_THAT(config.image.std, ElementsAre(1, 2, 4));
  EXPECT_EQ(config.batching.max_batch_size, 8);
  EXPECT_EQ(config.batching.max_queue_delay, absl::Milliseconds(5));
  EXPECT_EQ(config.batching.inline_limit, absl::Microseconds(300));
  EXPECT_EQ(config.batching.max_queue_rows, 64);
  EXPECT_EQ(config.batching.max_queue_bytes, 8 << 20);
  EXPECT_EQ(config.batching.queue_timeout, absl::Seconds(2));
  EXPECT_EQ(config.batching.priority_levels, 3);
  EXPECT_EQ(config.batching.default_priority, 2);
  EXPECT_EQ(config.batching.instances, 2);
  EXPECT_EQ(config.intra_op_threads, 3);
  EXPECT_THAT(config.batch_buckets, ElementsAre(2, 8));
  EXPECT_EQ(config.dtype, "bf16");
  EXPECT_EQ(config.device, "cuda:1");
  EXPECT_EQ(config.alarm, (AlarmOptions{0.02, 0.001}));
  RefitPolicy refit;
  refit.on = RefitPolicy::On::kEvery;
  refit.every = 5000;
  refit.method = CalibrationMethod::kVectorScaling;
  refit.least_labels = 2000;
  refit.holdout = 0.25;
  refit.alpha = 0.05;
  refit.guard = 0;
  refit.cooldown = absl::Hours(2);
  refit.rollback = false;
  EXPECT_EQ(config.refit, refit);
}

TEST_F(ModelConfigTest, AttributesAreReadInTheOrderOfTheFile) {
  WriteYaml(absl::StrCat(kImageModel, "attributes:\n  site: any\n  camera: [north, \"\", south]\n"));
  EXPECT_THAT(ReadOrDie().attributes,
              ElementsAre(SliceKey{"site", {}}, SliceKey{"camera", {"north", "", "south"}}));
}

TEST_F(ModelConfigTest, AWrongAttributeIsNamedWithWhatIsAllowed) {
  const auto error = [this](const std::string& text) {
    return ErrorOf(absl::StrCat(kImageModel, "attributes: ", text, "\n"));
  };
  EXPECT_THAT(error("any"), HasSubstr("model.yaml:7: attributes must hold lines"));
  EXPECT_THAT(
      error("{camera: all}"),
      HasSubstr("attributes.camera must be a list of values, or any (the first 32 that come); was \"all\""));
  EXPECT_THAT(error("{camera: [\"\\e[2J\"]}"), HasSubstr("without control characters; has \"\\x1b[2J\""));
  EXPECT_THAT(error("{camera: []}"), HasSubstr("must be a list of values, or any (the first 32 that come)"));
  EXPECT_THAT(error("{camera: [a, b, a]}"), HasSubstr("each value once; \"a\" is there twice"));
  EXPECT_THAT(error("{camera: [a, other]}"), HasSubstr("must not list \"other\""));
  EXPECT_THAT(error("{camera: [[a]]}"), HasSubstr("must list texts"));
  EXPECT_THAT(error(absl::StrCat("{camera: [", std::string(65, 'v'), "]}")), HasSubstr("vvv\" has 65"));
  EXPECT_THAT(error("{ca=mera: any}"), HasSubstr("1 to 32 letters, digits, '_', '-' and '.'"));
  EXPECT_THAT(error(absl::StrCat("{", std::string(33, 'k'), ": any}")), HasSubstr("1 to 32 letters"));
  std::string keys, values;
  for (int i = 0; i < 33; ++i) absl::StrAppend(&values, i == 0 ? "" : ", ", "v", i);
  for (int i = 0; i < 9; ++i) absl::StrAppend(&keys, i == 0 ? "" : ", ", "k", i, ": any");
  EXPECT_THAT(error(absl::StrCat("{camera: [", values, "]}")), HasSubstr("at most 32 values; lists 33"));
  EXPECT_THAT(error(absl::StrCat("{", keys, "}")), HasSubstr("attributes must have at most 8 keys; has 9"));
}

TEST_F(ModelConfigTest, ResizeToTwoNumbersIsExact) {
  WriteYaml(absl::StrReplaceAll(kImageModel, {{"color: rgb", "resize: [40, 50]"}}));
  EXPECT_EQ(ReadOrDie().image.resize_exact, (ImageSize{40, 50}));
}

TEST_F(ModelConfigTest, ATensorModelTakesItsShape) {
  WriteYaml("task: multiclass\ninput: {kind: tensor, shape: [1, 28, 28]}\n");
  const ModelConfig config = ReadOrDie();
  EXPECT_EQ(config.kind, InputKind::kTensor);
  EXPECT_THAT(config.input_shape, ElementsAre(1, 28, 28));
}

TEST_F(ModelConfigTest, WhatIsLeftOutIsTheServersDefault) {
  BatchingOptions defaults;
  defaults.max_batch_size = 99;
  defaults.max_queue_rows = 500;
  defaults.inline_limit = absl::Microseconds(50);
  defaults.instances = 3;
  const absl::StatusOr<ModelConfig> config = Read(defaults);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->batching.max_batch_size, 16);
  EXPECT_EQ(config->batching.max_queue_rows, 500);
  EXPECT_EQ(config->batching.inline_limit, absl::Microseconds(50));
  EXPECT_EQ(config->batching.instances, 3);
}

TEST_F(ModelConfigTest, AnUnknownKeyIsNamedWithItsLineAndTheNearest) {
  EXPECT_THAT(ErrorWith("max_batch_size", "max_batchsize"),
              HasSubstr("model.yaml:6: max_batchsize is not a known key; did you mean max_batch_size?"));
  EXPECT_THAT(ErrorWith("color", "colour"),
              HasSubstr("model.yaml:5: input.colour is not a known key; did you mean color?"));
  EXPECT_THAT(ErrorWith("color: rgb", "shape: [1]"),
              HasSubstr("model.yaml:5: input.shape is not a known key"));
}

TEST_F(ModelConfigTest, ABadValueIsNamedWithItsLineItselfAndWhatIsAllowed) {
  EXPECT_THAT(ErrorWith("multiclass", "ranking"),
              HasSubstr("model.yaml:1: task must be multiclass | binary; was \"ranking\""));
  EXPECT_THAT(ErrorWith("rgb", "cmyk"),
              HasSubstr("model.yaml:5: input.color must be grey | rgb | bgr; was \"cmyk\""));
  EXPECT_THAT(ErrorWith("16", "0"),
              HasSubstr("model.yaml:6: max_batch_size must be a whole number from 1 to 65536; was \"0\""));
  EXPECT_THAT(ErrorWith("16", "[1]"),
              HasSubstr("max_batch_size must be a whole number from 1 to 65536; was a list"));
  EXPECT_THAT(ErrorWith("16", "2048\nmax_queue_rows: 1024"),
              HasSubstr("max_batch_size must be at most max_queue_rows, 1024; was 2048"));
  EXPECT_THAT(
      ErrorWith("16", "16\nbatch_buckets: [4, 8]"),
      HasSubstr("model.yaml:7: batch_buckets must be ascending and end with max_batch_size, 16; was [4, 8]"));
  EXPECT_THAT(ErrorWith("16", "16\nbatch_buckets: [8, 4, 16]"), HasSubstr("was [8, 4, 16]"));
  EXPECT_THAT(ErrorWith("16", "16\ndtype: int8"),
              HasSubstr("dtype must be fp32 | bf16 | fp16; was \"int8\""));
  EXPECT_THAT(ErrorWith("[28, 30]", "[28]"),
              HasSubstr("model.yaml:4: input.size must be [height, width]; has 1"));
  EXPECT_THAT(ErrorWith("[28, 30]", "28"), HasSubstr("input.size must be a list of whole numbers"));
  EXPECT_THAT(ErrorWith("[28, 30]", "[28, x]"), HasSubstr("has \"x\""));
  EXPECT_THAT(ErrorWith("color: rgb", "mean: [nan, 0, 0]"),
              HasSubstr("input.mean must be a list of numbers"));
  EXPECT_THAT(ErrorWith("color: rgb", "mean: [0.5]"),
              HasSubstr("input.mean must have one value a channel (3)"));
  EXPECT_THAT(ErrorWith("color: rgb", "std: [1, 1, 0]"), HasSubstr("input.std must be > 0"));
  EXPECT_THAT(ErrorWith("color: rgb", "interpolation: area"), HasSubstr("needs transform: opencv"));
  EXPECT_THAT(ErrorWith("color: rgb", "scale: maybe"), HasSubstr("input.scale must be true | false"));
  EXPECT_THAT(ErrorWith("color: rgb", "resize: big"), HasSubstr("input.resize must be a whole number"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "max_queue_delay: 5"),
              HasSubstr("max_queue_delay must be a duration"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "alarm: {tolerance: 0.3}"),
              HasSubstr("model.yaml:6: alarm.tolerance must be a number from 0 to 0.25; was \"0.3\""));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "refit: {on: sometimes}"),
              HasSubstr("refit.on must be never | alarm | every | schedule"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "refit: {on: never, method: none}"),
              HasSubstr("refit.method must be a method"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "refit: {on: schedule, schedule: 1s}"),
              HasSubstr("refit.schedule must be at least 1m; was 1s"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "refit: {every: 5000}"),
              HasSubstr("model.yaml:6: refit lacks on"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "refit: {on: alarm, every: 5000}"),
              HasSubstr("refit.every counts only with refit.on: every; that is alarm"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "refit:"), HasSubstr("model.yaml:6: refit must hold lines"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "alarm: {tau: 0.01}"),
              HasSubstr("alarm.tau is not a known key"));
  for (const char* device : {"gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"}) {
    EXPECT_THAT(ErrorWith("max_batch_size: 16", absl::StrCat("device: \"", device, "\"")),
                HasSubstr("device must be cpu | cuda | cuda:N | auto"));
  }
}

TEST_F(ModelConfigTest, WhatMustBeThereIsNamed) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("model.yaml:1: the file lacks task"));
  EXPECT_THAT(ErrorOf("task: binary\n"), HasSubstr("the file lacks input"));
  EXPECT_THAT(ErrorOf("task: binary\ninput:\n"), HasSubstr("input must hold lines"));
  EXPECT_THAT(ErrorOf("task: binary\ninput: {}\n"), HasSubstr("model.yaml:2: input lacks kind"));
  EXPECT_THAT(ErrorWith("size: [28, 30]", "scale: true"), HasSubstr("input lacks size"));
  EXPECT_THAT(ErrorOf("task: multiclass\ninput: {kind: tensor}\n"), HasSubstr("input lacks shape"));
  EXPECT_THAT(ErrorOf("task: multiclass\ninput: {kind: tensor, shape: []}\n"),
              HasSubstr("at least one dimension"));
  EXPECT_THAT(ErrorOf("task: multiclass\ninput: {kind: tensor, shape: [65536, 65536]}\n"),
              HasSubstr("at most"));
}

TEST_F(ModelConfigTest, AMissingFileIsNamed) {
  Remove("model.yaml");
  EXPECT_EQ(Read().status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Error(), HasSubstr("pets/model.yaml"));
  WriteYaml(kImageModel);
  Remove("labels.txt");
  EXPECT_THAT(Error(), HasSubstr("pets/labels.txt"));
}

TEST_F(ModelConfigTest, ABinaryModelHasTwoLabels) {
  EXPECT_THAT(ErrorWith("multiclass", "binary"),
              HasSubstr("labels.txt must have 2 labels for task: binary; has 3"));
}

TEST_F(ModelConfigTest, VersionsAreNumberedFoldersInTheirOrder) {
  Write("10/model.pt2", "");
  Write("10/calibrator.json", "{}");
  Write("2/model.pt", "");
  const ModelConfig config = ReadOrDie();
  ASSERT_EQ(config.versions.size(), 3u);
  EXPECT_EQ(config.versions[1].version, 2);
  EXPECT_EQ(config.versions[1].model_path, directory() + "/2/model.pt");
  EXPECT_EQ(config.versions[1].calibrator_path, "");
  EXPECT_EQ(config.versions[2].version, 10);
  EXPECT_EQ(config.versions[2].model_path, directory() + "/10/model.pt2");
  EXPECT_EQ(config.versions[2].calibrator_path, directory() + "/10/calibrator.json");
}

TEST_F(ModelConfigTest, OtherFoldersAreIgnoredWithANote) {
  for (const char* folder : {"01", "0", "-1", "latest", "1a", "99999999999999999999"}) {
    Write(absl::StrCat(folder, "/model.pt"), "");
  }
  Write("README.md", "");
  Write(".git/model.pt", "");
  const ModelConfig config = ReadOrDie();
  EXPECT_EQ(config.versions.size(), 1u);
  EXPECT_EQ(config.notes.size(), 6u);
  EXPECT_THAT(config.notes, Contains(HasSubstr("pets/latest is ignored")));
  EXPECT_THAT(config.notes, Contains(HasSubstr("99 is ignored: a version is a whole number from 1 to "
                                               "9223372036854775807, without a leading zero")));
}

TEST_F(ModelConfigTest, InstancesMayBeAuto) {
  WriteYaml(absl::StrReplaceAll(kImageModel, {{"max_batch_size: 16", "instances: auto"}}));
  EXPECT_EQ(ReadOrDie().batching.instances, 0);
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "instances: 0"), HasSubstr("instances must be a whole number"));
  EXPECT_THAT(ErrorWith("max_batch_size: 16", "instances: some"), HasSubstr("was \"some\""));
}

TEST_F(ModelConfigTest, TheNewestVersionIsWantedUnlessVersionsSaysOtherwise) {
  Write("2/model.pt", "");
  Write("10/model.pt", "");
  const auto wanted = [this](const std::string& line) {
    WriteYaml(absl::StrCat(kImageModel, line, "\n"));
    return ReadOrDie().Wanted();
  };
  EXPECT_THAT(wanted(""), ElementsAre(10));
  EXPECT_THAT(wanted("versions: latest"), ElementsAre(10));
  EXPECT_THAT(wanted("versions: {latest: 2}"), ElementsAre(2, 10));
  EXPECT_THAT(wanted("versions: all"), ElementsAre(1, 2, 10));
  EXPECT_THAT(wanted("versions: [1, 7]"), ElementsAre(1, 7)) << "also where there is no such folder";
  EXPECT_THAT(wanted("version_labels: {stable: 1}"), ElementsAre(1, 10)) << "what a label points to";
}

TEST_F(ModelConfigTest, LabelsAndTrafficAreRead) {
  WriteYaml(absl::StrCat(kImageModel, "version_labels: {stable: 3, canary: 4}\n",
                         "traffic: {stable: 95, canary: 5}\n"));
  const ModelConfig config = ReadOrDie();
  EXPECT_THAT(config.routing.labels, ElementsAre(Pair("canary", 4), Pair("stable", 3)));
  ASSERT_EQ(config.routing.traffic.size(), 2u);
  EXPECT_EQ(config.routing.traffic[0].label, "stable");
  EXPECT_EQ(config.routing.traffic[0].weight, 95);
  EXPECT_EQ(config.routing.traffic[1].label, "canary");
  EXPECT_EQ(config.routing.traffic[1].weight, 5);
}

TEST_F(ModelConfigTest, AWrongVersionKeyIsNamedWithWhatIsAllowed) {
  const auto error = [this](const std::string& lines) {
    return ErrorOf(absl::StrCat(kImageModel, lines, "\n"));
  };
  EXPECT_THAT(error("versions: newest"), HasSubstr("model.yaml:7: versions must be latest, {latest: N}"));
  EXPECT_THAT(error("versions: {newest: 2}"), HasSubstr("versions must be latest"));
  EXPECT_THAT(error("versions: {latest: 0}"), HasSubstr("latest must be a whole number from 1"));
  EXPECT_THAT(error("versions: []"), HasSubstr("at least one version"));
  EXPECT_THAT(error("versions: [1, 1]"), HasSubstr("names 1 twice"));
  EXPECT_THAT(error("versions: [one]"), HasSubstr("a list of whole numbers from 1 to 9223372036854775807"));
  EXPECT_THAT(error("version_labels: [stable]"), HasSubstr("\"label: version\""));
  EXPECT_THAT(error("version_labels: {7up: 3}"), HasSubstr("the label \"7up\""));
  EXPECT_THAT(error("version_labels: {stable: 0}"), HasSubstr("stable must point to a version"));
  EXPECT_THAT(error("traffic: {stable: 1}"), HasSubstr("version_labels does not point to a version"));
  const std::string labels = "version_labels: {a: 1, b: 1, c: 1}\n";
  EXPECT_THAT(error(labels + "traffic: {a: 1, b: 1, c: 1}"), HasSubstr("one or two lines"));
  EXPECT_THAT(error(labels + "traffic: {a: 0}"), HasSubstr("must have a weight that is not 0"));
  EXPECT_THAT(error(labels + "traffic: {a: -1}"), HasSubstr("the weight of a must be a whole number from 0"));
}

TEST_F(ModelConfigTest, EverythingThatIsWrongIsSaidAtOnce) {
  WriteYaml("task: ranking\ninstance: 2\ninput: {kind: image, size: [28], colour: rgb}\ntraffic: 3\n");
  Write("labels.txt", "cat\ncat\n");
  Write("2/notes.txt", "");
  const ModelDirectory read = ReadModelDirectory(directory(), {});
  std::vector<std::string> said;
  for (const absl::Status& problem : read.problems) said.emplace_back(problem.message());
  EXPECT_THAT(
      said, UnorderedElementsAre(HasSubstr(":1: task must be"), HasSubstr(":2: instance is not a known key"),
                                 HasSubstr(":3: input.size must be"), HasSubstr(":3: input.colour"),
                                 HasSubstr(":4: traffic must be"), HasSubstr("labels.txt:2")));
  EXPECT_THAT(std::string(read.config.Find(2)->problem.message()), HasSubstr("neither"));
  EXPECT_TRUE(read.config.Find(1)->problem.ok());
}

TEST_F(ModelConfigTest, SettingsDifferWhereAReloadIsDue) {
  const std::string settings = ReadOrDie().settings;
  WriteYaml(absl::StrCat("# a comment\n", kImageModel, "versions: all\nversion_labels: {stable: 1}\n",
                         "traffic: {stable: 1}\nalarm: {alpha: 0.001}\nrefit: {on: alarm}\n"));
  EXPECT_EQ(ReadOrDie().settings, settings) << "who is served by what is loaded, and how it is judged";
  WriteYaml(absl::StrReplaceAll(kImageModel, {{"16", "17"}}));
  EXPECT_NE(ReadOrDie().settings, settings);
  WriteYaml(kImageModel);
  Write("labels.txt", "cat\ndog\nfish\n");
  EXPECT_NE(ReadOrDie().settings, settings);
  Write("labels.txt", "cat\ndog\nbird\n");
  EXPECT_EQ(ReadOrDie().settings, settings);
  Write("warmup/expected.json", "{}");
  EXPECT_NE(ReadOrDie().settings, settings) << "samples of every version";
}

TEST_F(ModelConfigTest, AVersionsFilesAreTold) {
  const std::string files = ReadOrDie().versions[0].files;
  EXPECT_EQ(ReadOrDie().versions[0].files, files);
  Write("1/warmup/photo.jpg", "x");
  const std::string more = ReadOrDie().versions[0].files;
  EXPECT_NE(more, files);
  EXPECT_EQ(ReadOrDie().versions[0].warmup_path, directory() + "/1/warmup");
  Write("1/warmup/photo.jpg", "xy");
  EXPECT_NE(ReadOrDie().versions[0].files, more);
}

TEST_F(ModelConfigTest, AVersionHoldsExactlyOneModelFile) {
  Write("1/model.pt2", "");
  EXPECT_THAT(Error(), HasSubstr("pets/1 holds both model.pt2 and model.pt"));
  Remove("1/model.pt");
  Remove("1/model.pt2");
  EXPECT_THAT(Error(), HasSubstr("pets/1 holds neither model.pt2 nor model.pt"));
  Remove("1");
  EXPECT_THAT(Error(), HasSubstr("pets holds no version"));
}

TEST_F(ModelConfigTest, APipeIsNotWaitedFor) {
  Remove("labels.txt");
  ASSERT_EQ(mkfifo((repository_.path() + "/pets/labels.txt").c_str(), 0600), 0);
  EXPECT_THAT(Error(), HasSubstr("labels.txt is not a regular file"));
}

TEST_F(ModelConfigTest, ACalibratorThatIsNoFileIsNotPassedOver) {
  const std::string calibrator = repository_.path() + "/pets/1/calibrator.json";
  std::filesystem::create_symlink("missing.json", calibrator);
  EXPECT_THAT(Error(), HasSubstr("calibrator.json is not a regular file, nor a link to one"));
  std::filesystem::remove(calibrator);
  ASSERT_EQ(mkfifo(calibrator.c_str(), 0600), 0);
  EXPECT_THAT(Error(), HasSubstr("calibrator.json is not a regular file"));
}

TEST_F(ModelConfigTest, ARepositoryHasItsModelsByName) {
  repository_.Write("README.md", "");
  repository_.Write(".cache/x", "");
  repository_.Write("lost+found/x", "");
  std::filesystem::create_symlink(std::string(300, 'x'), repository_.path() + "/links_to_what_cannot_be");
  repository_.Write("a/model.yaml", kImageModel);
  repository_.Write("a/labels.txt", "x\ny\n");
  repository_.Write("a/3/model.pt", "");
  const auto models = ScanModelRepository(repository_.path(), {});
  ASSERT_TRUE(models.ok()) << models.status();
  EXPECT_THAT(*models, ElementsAre(Key("a"), Key("pets")));
  EXPECT_EQ(models->at("a").versions[0].version, 3);
}

TEST_F(ModelConfigTest, APathIsFollowedAsTheSystemFollowsIt) {
  const TempDir elsewhere;
  std::filesystem::create_directory_symlink(directory(), elsewhere.path() + "/link");
  // ".." of the link is what holds the model, not what holds the link.
  const auto models = ScanModelRepository(elsewhere.path() + "/link/..", BatchingOptions());
  ASSERT_TRUE(models.ok()) << models.status();
  EXPECT_THAT(*models, ElementsAre(Key("pets")));
}

TEST_F(ModelConfigTest, ARepositoryThatIsWrongNamesThePath) {
  const auto error = [](const std::string& path) {
    return std::string(ScanModelRepository(path, {}).status().message());
  };
  EXPECT_THAT(error(repository_.path() + "/none"), AllOf(HasSubstr("/none"), HasSubstr("No such file")));
  EXPECT_THAT(error(directory() + "/labels.txt"), HasSubstr("labels.txt"));
  repository_.Write("empty/.keep", "");
  EXPECT_THAT(error(repository_.path() + "/empty"), HasSubstr("no model in"));
  EXPECT_THAT(error(repository_.path()), HasSubstr("empty/model.yaml"));
  repository_.Remove("empty");
  repository_.Write("two words/model.yaml", kImageModel);
  EXPECT_THAT(error(repository_.path()), HasSubstr("a model's name has letters"));
}

TEST(DemoModelTest, IsRead) {
  const absl::StatusOr<ModelConfig> config =
      ReadModelConfig(CALSERVE_SOURCE_DIR "/examples/fashion_mnist/models/fashion_mnist", {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->labels.size(), 10u);
  EXPECT_THAT(config->input_shape, ElementsAre(1, 28, 28));
  EXPECT_FLOAT_EQ(config->image.mean.at(0), 0.2860f);
}

}  // namespace
}  // namespace calserve
