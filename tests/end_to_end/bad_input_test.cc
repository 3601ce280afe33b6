// What bad input gets: the right code, a sentence with the rule and the value, google.rpc details, and a
// server that goes on as before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Values;

// The files below a directory, with their sizes.
std::set<std::string> Listing(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    names.insert(entry.path().string() + " " +
                 (entry.is_regular_file() ? std::to_string(entry.file_size()) : "directory"));
  }
  return names;
}

class BadInputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    data_dir_ = new TempDir();
    working_dir_ = new TempDir();
    server_ = new ServerProcess({.data_dir = data_dir_->path(), .working_dir = working_dir_->path()});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_ = new Api(server_->address());
  }
  static void TearDownTestSuite() {
    delete api_;
    delete server_;
    delete working_dir_;
    delete data_dir_;
  }

  // After every test: whatever was sent, the next good request is answered.
  void TearDown() override { EXPECT_TRUE(api_->Predict(TestTensorRequest(0, 1)).ok()) << server_->log(); }

  static CallStatus PredictImages(const std::vector<std::string>& images) {
    return api_->Predict(ImageRequest(images)).status;
  }
  static std::string GoodPng() { return TestImages::Get().Png(0); }

  static TempDir* data_dir_;
  static TempDir* working_dir_;
  static ServerProcess* server_;
  static Api* api_;
};
TempDir* BadInputTest::data_dir_ = nullptr;
TempDir* BadInputTest::working_dir_ = nullptr;
ServerProcess* BadInputTest::server_ = nullptr;
Api* BadInputTest::api_ = nullptr;

// While it lives, the server is killed by SIGXFSZ as soon as it writes a byte to any file, wherever it is.
class NoFileWrites {
 public:
  explicit NoFileWrites(pid_t pid) : pid_(pid) { EXPECT_EQ(SetLimit(0), 0); }
  ~NoFileWrites() { SetLimit(RLIM_INFINITY); }

 private:
  int SetLimit(rlim_t bytes) {
    const rlimit limit = {bytes, RLIM_INFINITY};
    return prlimit(pid_, RLIMIT_FSIZE, &limit, nullptr);
  }
  const pid_t pid_;
};

struct NoImage {
  std::string name;
  std::string bytes;
  std::string says;
};
class NoImageTest : public BadInputTest, public ::testing::WithParamInterface<NoImage> {};

TEST_P(NoImageTest, IsRefusedByItsIndexAndNothingIsWrittenToDisk) {
  ASSERT_EQ(server_->IgnoredSignals() >> (SIGXFSZ - 1) & 1, 0) << "NoFileWrites would not see a write";
  const auto before = std::make_pair(Listing(data_dir_->path()), Listing(working_dir_->path()));
  CallStatus status;
  {
    const NoFileWrites tripwire(server_->pid());
    status = PredictImages({GoodPng(), GoodPng(), GetParam().bytes, GoodPng()});
  }
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message, HasSubstr("inputs[2]"));
  EXPECT_THAT(status.message, HasSubstr(GetParam().says));
  EXPECT_EQ(status.domain, "calserve");
  EXPECT_NE(status.reason, "");
  ASSERT_EQ(status.fields.size(), 1);
  EXPECT_THAT(status.fields[0], HasSubstr("inputs[2]"));
  EXPECT_EQ(std::make_pair(Listing(data_dir_->path()), Listing(working_dir_->path())), before);
}

std::string TruncatedJpeg() {
  const std::string jpeg = TestImages::Get().Jpeg(0);
  return jpeg.substr(0, jpeg.size() * 2 / 3);
}

INSTANTIATE_TEST_SUITE_P(
    BadInput, NoImageTest,
    Values(NoImage{"Text", "these are words and no image", "JPEG"}, NoImage{"Empty", "", "empty"},
           NoImage{"TruncatedJpeg", TruncatedJpeg(), "JPEG"},
           NoImage{"Gif", "GIF89a\x01\x00\x01\x00 and so on until it is long enough", "GIF"},
           NoImage{"LittleEndianTiff", std::string("II*\0\x08\0\0\0", 8) + std::string(100, 'x'), "TIFF"},
           NoImage{"BigEndianTiff", std::string("MM\0*\0\0\0\x08", 8) + std::string(100, 'x'), "TIFF"},
           NoImage{"Nitf", "NITF02.10" + std::string(1000, '0'), "JPEG"}),
    [](const auto& info) { return info.param.name; });

TEST(NoFileWritesTest, KillsAServerThatWritesAByte) {
  const TempDir data_dir;
  ServerProcess server({.data_dir = data_dir.path()});
  ASSERT_TRUE(server.WaitUntilServing()) << server.log();
  const Api api(server.address());
  const std::vector<Labelled> predictions = PredictTestImages(api, 0, 1);
  const NoFileWrites tripwire(server.pid());
  EXPECT_FALSE(api.SubmitFeedback(FeedbackRequest(predictions)).ok());
  EXPECT_EQ(server.WaitForExit(absl::Seconds(30)), 128 + SIGXFSZ);
}

TEST_F(BadInputTest, TheSameImageAsPngWebPAndTensorIsTheSamePrediction) {
  const TestImages& images = TestImages::Get();
  v1::PredictRequest request = ImageRequest({images.Png(3), images.WebP(3)});
  *request.add_inputs() = TestTensorRequest(3, 1).inputs(0);
  request.mutable_options()->set_return_logits(true);
  const auto reply = api_->Predict(request);
  ASSERT_TRUE(reply.ok()) << reply.status;
  ASSERT_EQ(reply->predictions_size(), 3);
  for (const v1::Prediction& prediction : reply->predictions()) {
    for (int k = 0; k < kClasses; ++k) {
      EXPECT_NEAR(prediction.logits(k), reply->predictions(0).logits(k), 1e-3);
    }
  }
}

// Each breaks one rule of a tensor of 1×28×28 floats.
struct BadTensor {
  std::string name;
  void (*damage)(v1::Tensor*);
  std::string expected, given;  // in the sentence
  std::string field;
};
class BadTensorTest : public BadInputTest, public ::testing::WithParamInterface<BadTensor> {};

void SetShape(std::vector<int64_t> shape, v1::Tensor* tensor) {
  tensor->mutable_shape()->Assign(shape.begin(), shape.end());
}
void SetElement(int index, float value, v1::Tensor* tensor) {
  std::string data = tensor->data();
  data.replace(index * sizeof(float), sizeof(float), reinterpret_cast<const char*>(&value), sizeof(float));
  tensor->set_data(data);
}

TEST_P(BadTensorTest, IsRefusedWithWhatWasExpectedAndGiven) {
  v1::PredictRequest request = TestTensorRequest(0, 3);
  GetParam().damage(request.mutable_inputs(1)->mutable_tensor());
  const CallStatus status = api_->Predict(request).status;
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message, HasSubstr("inputs[1]"));
  EXPECT_THAT(status.message, HasSubstr(GetParam().expected));
  EXPECT_THAT(status.message, HasSubstr(GetParam().given));
  EXPECT_THAT(status.fields, ElementsAre("inputs[1]." + GetParam().field));
  EXPECT_EQ(status.domain, "calserve");
}

INSTANTIATE_TEST_SUITE_P(
    BadInput, BadTensorTest,
    Values(BadTensor{"Rank",
                     [](v1::Tensor* t) {
                       SetShape({28, 28}, t);
                     },
                     "[1, 28, 28]", "[28, 28]", "tensor.shape"},
           BadTensor{"Shape",
                     [](v1::Tensor* t) {
                       SetShape({1, 14, 56}, t);
                     },
                     "[1, 28, 28]", "[1, 14, 56]", "tensor.shape"},
           BadTensor{"NegativeShape",
                     [](v1::Tensor* t) {
                       SetShape({1, -28, -28}, t);
                     },
                     "[1, 28, 28]", "[1, -28, -28]", "tensor.shape"},
           BadTensor{"Type", [](v1::Tensor* t) { t->set_data_type(v1::DATA_TYPE_UINT8); }, "FLOAT32", "UINT8",
                     "tensor.data_type"},
           BadTensor{"TooFewBytes", [](v1::Tensor* t) { t->mutable_data()->pop_back(); }, "3136", "3135",
                     "tensor.data"},
           BadTensor{"TooManyBytes", [](v1::Tensor* t) { t->mutable_data()->push_back('x'); }, "3136", "3137",
                     "tensor.data"},
           BadTensor{"NaN", [](v1::Tensor* t) { SetElement(7, std::nanf(""), t); }, "finite",
                     "element 7 is nan", "tensor.data"},
           BadTensor{"Infinity",
                     [](v1::Tensor* t) { SetElement(783, -std::numeric_limits<float>::infinity(), t); },
                     "finite", "element 783 is -inf", "tensor.data"}),
    [](const auto& info) { return info.param.name; });

TEST_F(BadInputTest, AnInputThatIsNeitherImageNorTensorIsRefused) {
  v1::PredictRequest request = TestTensorRequest(0, 1);
  request.add_inputs();
  const CallStatus status = api_->Predict(request).status;
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.fields, ElementsAre("inputs[1]"));
}

TEST_F(BadInputTest, AnUnknownModelIsNotFoundAndTheAnswerListsWhatThereIs) {
  v1::PredictRequest request = TestTensorRequest(0, 1);
  request.set_model("no_such_model");
  const CallStatus status = api_->Predict(request).status;
  EXPECT_EQ(status.code, absl::StatusCode::kNotFound) << status;
  EXPECT_THAT(status.message, HasSubstr("no_such_model"));
  EXPECT_THAT(status.message, HasSubstr(kModel));
  EXPECT_EQ(status.reason, "MODEL_NOT_FOUND");
  EXPECT_EQ(api_->GetModel("no_such_model").status.code, absl::StatusCode::kNotFound);
}

TEST_F(BadInputTest, AnUnknownVersionIsNotFoundAndTheAnswerListsWhatThereIs) {
  v1::PredictRequest request = TestTensorRequest(0, 1);
  request.set_model_version(77);
  const CallStatus status = api_->Predict(request).status;
  EXPECT_EQ(status.code, absl::StatusCode::kNotFound) << status;
  EXPECT_THAT(status.message, HasSubstr("77"));
  EXPECT_THAT(status.message, HasSubstr("version 1"));
  EXPECT_EQ(status.reason, "MODEL_VERSION_NOT_FOUND");
}

TEST_F(BadInputTest, NoInputAndMoreThanTheBatchLimitAreRefusedWithTheLimit) {
  for (const int count : {0, 33}) {
    const CallStatus status = api_->Predict(TestTensorRequest(0, count)).status;
    EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(status.message, HasSubstr("1 to 32"));
    EXPECT_THAT(status.message, HasSubstr(std::to_string(count)));
    EXPECT_THAT(status.fields, ElementsAre("inputs"));
  }
  EXPECT_TRUE(api_->Predict(TestTensorRequest(0, 32)).ok());
}

TEST_F(BadInputTest, MoreTopClassesThanThereAreAreRefused) {
  v1::PredictRequest request = TestTensorRequest(0, 1);
  request.mutable_options()->set_top_k(kClasses + 1);
  const CallStatus status = api_->Predict(request).status;
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.fields, ElementsAre("options.top_k"));
}

TEST_F(BadInputTest, AMessageOverTheLimitIsRefusedAndTheServerGoesOn) {
  const CallStatus status = PredictImages({std::string((64 << 20) + 1, 'x')});
  EXPECT_EQ(status.code, absl::StatusCode::kResourceExhausted) << status;
  EXPECT_TRUE(api_->Predict(TestTensorRequest(0, 1)).ok());
}

TEST_F(BadInputTest, ABatchOfFeedbackOverTheLimitIsRefusedAsAWhole) {
  EXPECT_EQ(api_->SubmitFeedback({}).status.code, absl::StatusCode::kInvalidArgument);
  v1::SubmitFeedbackRequest request;
  for (int i = 0; i < 10'001; ++i) *request.add_items() = Item("x", 0);
  const CallStatus status = api_->SubmitFeedback(request).status;
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message, HasSubstr("10000"));
  EXPECT_THAT(status.fields, ElementsAre("items"));
}

TEST_F(BadInputTest, AnUnknownWindowIsRefusedAndTheAnswerListsTheWindows) {
  const CallStatus status = api_->Report(WindowRequest(0, "last_blue_moon")).status;
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message, HasSubstr("last_1000"));
  v1::WatchCalibrationRequest request;
  request.set_model(kModel);
  request.add_windows("last_blue_moon");
  v1::WatchCalibrationResponse response;
  const auto watch = api_->WatchCalibration(request);
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().code, absl::StatusCode::kInvalidArgument);
}

TEST_F(BadInputTest, ACalibratorVersionThatDoesNotExistIsNotFound) {
  for (const int64_t version : {int64_t{9}, int64_t{-1}}) {
    const std::string says = "has no calibrator " + std::to_string(version);
    for (const bool stored : {false, true}) {
      v1::GetCalibrationReportRequest request = WindowRequest(version, "last_1000");
      if (stored) request.mutable_stored();
      const CallStatus status = api_->Report(request).status;
      EXPECT_EQ(status.code, absl::StatusCode::kNotFound) << status;
      EXPECT_THAT(status.message, HasSubstr(says));
    }
    v1::WatchCalibrationRequest request;
    request.set_model(kModel);
    request.set_calibrator_version(version);
    v1::WatchCalibrationResponse response;
    const auto watch = api_->WatchCalibration(request);
    EXPECT_FALSE(watch->Read(&response));
    const CallStatus status = watch->Finish();
    EXPECT_EQ(status.code, absl::StatusCode::kNotFound) << status;
    EXPECT_THAT(status.message, HasSubstr(says));
    EXPECT_THAT(status.fields, ElementsAre("calibrator_version"));
  }
  v1::WatchCalibrationRequest request;
  request.set_model(kModel);
  request.set_calibrator_version(0);  // plain softmax, which every model version has
  v1::WatchCalibrationResponse response;
  EXPECT_TRUE(api_->WatchCalibration(request)->Read(&response));
}

}  // namespace
}  // namespace calserve::e2e
