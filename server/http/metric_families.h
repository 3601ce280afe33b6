#ifndef CALSERVE_SERVER_HTTP_METRIC_FAMILIES_H_
#define CALSERVE_SERVER_HTTP_METRIC_FAMILIES_H_

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/telemetry/histogram.h"

namespace calserve {

// The families of one scrape, and what they are put together with.
using MetricFamilies = std::vector<prometheus::MetricFamily>;
using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// Add a family without series. The reference is good until the next is added.
prometheus::MetricFamily& AddCounter(MetricFamilies& families, const char* name, const char* help);
prometheus::MetricFamily& AddGauge(MetricFamilies& families, const char* name, const char* help);
prometheus::MetricFamily& AddHistogram(MetricFamilies& families, const char* name, const char* help);

// Add a series to a family.
void Put(prometheus::MetricFamily& family, MetricLabels labels, double value);
void Put(prometheus::MetricFamily& family, MetricLabels labels, const HistogramValues& values);

prometheus::ClientMetric::Label Label(std::string name, std::string value);
MetricLabels With(MetricLabels labels, const char* name, absl::string_view value);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_METRIC_FAMILIES_H_
