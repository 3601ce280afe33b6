#ifndef CALSERVE_TESTS_BENCHMARKS_MONITORING_SYNTHETIC_LABELS_H_
#define CALSERVE_TESTS_BENCHMARKS_MONITORING_SYNTHETIC_LABELS_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "calibration/rolling_windows.h"
#include "server/feedback/half_float.h"
#include "server/feedback/scored_label.h"

namespace calserve {

inline const absl::Time kLogStart = absl::FromUnixSeconds(1'790'000'000);

// Ten windows: of each kind, short and long.
inline std::vector<std::string> TenWindows() {
  return {"last_100", "last_1000", "last_10000", "last_100000", "last_1m",
          "last_1h",  "last_24h",  "decay_1m",   "decay_1h",    "decay_24h"};
}

// 10,000 labels a second.
inline std::vector<WindowLabel> MakeWindowLabels(int64_t count) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0.1f, 1.0f);
  std::vector<WindowLabel> labels(count);
  for (int64_t i = 0; i < count; ++i) {
    labels[i].time_micros = absl::ToUnixMicros(kLogStart) + 100 * i;
    labels[i].served = {uniform(random), random() % 10 != 0, uniform(random), uniform(random)};
    labels[i].uncalibrated = {uniform(random), random() % 10 != 0, uniform(random), uniform(random)};
  }
  return labels;
}

inline std::string KeyName(int key) { return std::string("attribute_") + std::to_string(key); }

// Of `keys` keys each: half of the labels have value 0, the others one of 40.
inline std::vector<Attributes> MakeAttributes(size_t count, int keys) {
  std::mt19937 random(2);
  std::vector<Attributes> attributes(count);
  for (Attributes& of : attributes) {
    for (int i = 0; i < keys; ++i) {
      of.emplace_back(KeyName(i), "value_" + std::to_string(random() % 2 == 0 ? 0 : random() % 40));
    }
  }
  return attributes;
}

// Rows of the log over `classes` classes, served by calibrator version 1.
inline std::vector<ScoredLabel> MakeRows(int64_t count, int classes) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<ScoredLabel> rows(count);
  std::vector<float> logits(classes);
  for (int64_t i = 0; i < count; ++i) {
    for (float& z : logits) z = normal(random);
    ScoredLabel& row = rows[i];
    row.position = i + 1;
    row.time = kLogStart + absl::Microseconds(100 * i);
    row.label = static_cast<int32_t>(random() % classes);
    row.submitter = "anonymous";
    TicketContent& p = row.prediction;
    for (int b = 0; b < 8; ++b) p.prediction_id.bytes[8 + b] = static_cast<uint8_t>(i >> (56 - 8 * b));
    p.model = "fashion_mnist";
    p.model_version = 1;
    p.calibrator_version = 1;
    p.issued_at = row.time;
    p.confidence = 0.875f;
    p.uncalibrated_confidence = 0.9375f;
    SetLogits(logits, p);
  }
  return rows;
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_BENCHMARKS_MONITORING_SYNTHETIC_LABELS_H_
