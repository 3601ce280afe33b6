#include "server/feedback/ticket_codec.h"

#include <limits>

#include "absl/random/random.h"
#include "gtest/gtest.h"
#include "tests/unit/feedback/feedback_testing.h"

namespace calserve {
namespace {

void ExpectSame(const TicketContent& a, const TicketContent& b) {
  EXPECT_EQ(a.prediction_id, b.prediction_id);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.model_version, b.model_version);
  EXPECT_EQ(a.model_digest, b.model_digest);
  EXPECT_EQ(a.calibrator_version, b.calibrator_version);
  EXPECT_EQ(a.calibrator_digest, b.calibrator_digest);
  EXPECT_EQ(a.issued_at, b.issued_at);
  EXPECT_EQ(a.predicted_class, b.predicted_class);
  EXPECT_EQ(a.uncalibrated_class, b.uncalibrated_class);
  EXPECT_EQ(a.confidence, b.confidence);
  EXPECT_EQ(a.uncalibrated_confidence, b.uncalibrated_confidence);
  EXPECT_EQ(a.max_logit, b.max_logit);
  EXPECT_EQ(a.classes, b.classes);
  EXPECT_EQ(a.logits_fp16, b.logits_fp16);
  EXPECT_EQ(a.attributes, b.attributes);
}

TicketContent Decoded(const std::string& bytes) {
  absl::StatusOr<TicketContent> content = DecodeTicketContent(bytes);
  EXPECT_TRUE(content.ok()) << content.status();
  return content.ok() ? *content : TicketContent();
}

TicketContent Full() {
  TicketContent content = MakePrediction(77);
  content.attributes = {{"camera", "north"}, {"empty", ""}, {"zero", std::string("\0x", 2)}};
  return content;
}

TEST(TicketCodecTest, EveryFieldComesBack) { ExpectSame(Decoded(EncodeTicketContent(Full())), Full()); }

TEST(TicketCodecTest, EmptyContentComesBack) {
  TicketContent empty;
  empty.issued_at = absl::UnixEpoch();
  ExpectSame(Decoded(EncodeTicketContent(empty)), empty);
}

TEST(TicketCodecTest, ExtremeValuesComeBack) {
  TicketContent content = Full();
  content.model_version = content.calibrator_version = std::numeric_limits<int64_t>::max();
  content.predicted_class = std::numeric_limits<int32_t>::max();
  content.model = std::string(300, 'm');
  content.confidence = std::numeric_limits<float>::denorm_min();
  content.max_logit = -std::numeric_limits<float>::infinity();
  ExpectSame(Decoded(EncodeTicketContent(content)), content);
}

TEST(TicketCodecTest, DigestsThatAreNotHexComeBackAsTheyAre) {
  for (const std::string digest : {"", "a", "abc", "ABCD", "sha256:00ff", "00ff"}) {
    TicketContent content = Full();
    content.model_digest = digest;
    EXPECT_EQ(Decoded(EncodeTicketContent(content)).model_digest, digest);
  }
}

TEST(TicketCodecTest, LogitsCanBeLeftOut) {
  const TicketContent content = Decoded(EncodeTicketContent(Full(), /*include_logits=*/false));
  EXPECT_TRUE(content.logits_fp16.empty());
  EXPECT_EQ(content.classes, 10);
}

TEST(TicketCodecTest, TenClassesTakeAboutAHundredAndFiftyBytes) {
  EXPECT_LE(EncodeTicketContent(MakePrediction(1)).size(), 150u);
}

TEST(TicketCodecTest, EveryTruncationAndEveryExtensionIsRefused) {
  const std::string bytes = EncodeTicketContent(Full());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeTicketContent(absl::string_view(bytes).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeTicketContent(bytes + '\0').ok());
}

TEST(TicketCodecTest, AnotherVersionIsRefusedByName) {
  std::string bytes = EncodeTicketContent(Full());
  bytes[0] = 9;
  EXPECT_THAT(DecodeTicketContent(bytes).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("version 9")));
}

// Whatever bytes decode are the encoding of what they decode to: there is one encoding only.
TEST(TicketCodecTest, AlteredBytesAreRefusedOrCanonical) {
  absl::BitGen random;
  const std::string bytes = EncodeTicketContent(Full());
  int decoded = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string altered = bytes;
    for (int n = absl::Uniform(random, 1, 4); n > 0; --n) {
      altered[absl::Uniform<size_t>(random, 1, altered.size())] = absl::Uniform<char>(random, -128, 127);
    }
    const absl::StatusOr<TicketContent> content = DecodeTicketContent(altered);
    if (!content.ok()) continue;
    ++decoded;
    ASSERT_EQ(EncodeTicketContent(*content), altered);
  }
  EXPECT_GT(decoded, 1000);
}

TEST(TicketCodecTest, LengthsBeyondTheInputAreRefusedWithoutTheMemory) {
  std::string bytes = EncodeTicketContent(TicketContent());
  const size_t attributes = bytes.size() - 1;
  bytes.replace(attributes, 1, std::string("\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9));
  EXPECT_FALSE(DecodeTicketContent(bytes).ok());
}

TEST(AttributesCodecTest, ComeBack) {
  const Attributes attributes = {{"a", "1"}, {"b", ""}};
  EXPECT_EQ(*DecodeAttributes(EncodeAttributes(attributes)), attributes);
  EXPECT_FALSE(DecodeAttributes("\x01").ok());
}

}  // namespace
}  // namespace calserve
