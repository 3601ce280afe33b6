#include "server/http/metric_families.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace calserve {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily& Add(MetricFamilies& families, MetricType type, const char* name, const char* help) {
  return families.emplace_back(MetricFamily{name, help, type, {}});
}

}  // namespace

MetricFamily& AddCounter(MetricFamilies& families, const char* name, const char* help) {
  return Add(families, MetricType::Counter, name, help);
}

MetricFamily& AddGauge(MetricFamilies& families, const char* name, const char* help) {
  return Add(families, MetricType::Gauge, name, help);
}

MetricFamily& AddHistogram(MetricFamilies& families, const char* name, const char* help) {
  return Add(families, MetricType::Histogram, name, help);
}

void Put(MetricFamily& family, MetricLabels labels, double value) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
}

void Put(MetricFamily& family, MetricLabels labels, const HistogramValues& values) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  for (size_t i = 0; i < values.counts.size(); ++i) {
    metric.histogram.sample_count += static_cast<uint64_t>(values.counts[i]);
    metric.histogram.bucket.push_back(
        {metric.histogram.sample_count,
         i < values.bounds.size() ? values.bounds[i] : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_sum = values.sum;
}

ClientMetric::Label Label(std::string name, std::string value) { return {std::move(name), std::move(value)}; }

MetricLabels With(MetricLabels labels, const char* name, absl::string_view value) {
  labels.push_back(Label(name, std::string(value)));
  return labels;
}

}  // namespace calserve
