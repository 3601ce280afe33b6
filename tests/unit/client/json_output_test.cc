#include "client/cli/json_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace calserve::cli {
namespace {

using ::testing::HasSubstr;

TEST(JsonOutputTest, APredictionGoesBackAsFeedback) {
  client::Prediction prediction;
  prediction.ticket = std::string("\x00\xff ticket", 9);
  prediction.logits = prediction.probabilities = {0.5, 0.5};
  prediction.prediction_set.emplace();
  nlohmann::ordered_json json = ToJson(prediction);
  json["label"] = "Sneaker";
  const absl::StatusOr<client::Feedback> feedback = FeedbackFromJson(json.dump());
  ASSERT_TRUE(feedback.ok()) << feedback.status();
  EXPECT_EQ(feedback->ticket, prediction.ticket);
  EXPECT_EQ(std::get<std::string>(feedback->label), "Sneaker");
  for (const char* key : {"file", "model", "model_version", "calibrator_version", "calibrator_method"}) {
    json[key] = "as predict --json prints it";
  }
  json["label"] = 7;
  EXPECT_EQ(std::get<int32_t>(FeedbackFromJson(json.dump())->label), 7);
}

TEST(JsonOutputTest, NamesWhatIsWrongWithALine) {
  const auto error = [](const char* line) { return std::string(FeedbackFromJson(line).status().message()); };
  EXPECT_THAT(error("x"), ::testing::StartsWith("malformed JSON: parse error at line 1, column 1: "));
  EXPECT_THAT(
      error(R"({"ticket": "AAAA", "label": 1, "inclusion_prob": 0.5})"),
      HasSubstr("inclusion_prob is not a known key; known are ticket, label, inclusion_probability, "));
  EXPECT_THAT(error(R"({"label": 1})"), HasSubstr("ticket is missing"));
  EXPECT_THAT(error(R"({"ticket": "AAAA"})"), HasSubstr("label is missing"));
  EXPECT_THAT(error(R"({"ticket": "?", "label": 1})"), HasSubstr("base64"));
  EXPECT_THAT(error(R"({"ticket": "AAAA", "label": -1})"), HasSubstr("class name or index; was -1"));
  EXPECT_THAT(error(R"({"ticket": "AAAA", "label": 1.5})"), HasSubstr("was 1.5"));
  EXPECT_THAT(error(R"({"ticket": "AAAA", "label": 99999999999})"), HasSubstr("was 99999999999"));
}

TEST(JsonOutputTest, TimesAreRfc3339InUtc) {
  EXPECT_EQ(TimeText(absl::FromUnixMillis(1'700'000'000'123)), "2023-11-14T22:13:20.123Z");
}

}  // namespace
}  // namespace calserve::cli
