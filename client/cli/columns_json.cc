#include "client/cli/columns_json.h"

#include <utility>
#include <vector>

#include "calibration_io/json_values.h"

namespace calserve::cli {
namespace {

nlohmann::ordered_json ClassesToJson(const std::vector<ClassDiagram>& classes) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const ClassDiagram& diagram : classes) {
    nlohmann::ordered_json bins = nlohmann::ordered_json::array();
    for (const ReliabilityBin& bin : diagram.bins) {
      bins.push_back({{"lower", bin.lower},
                      {"upper", bin.upper},
                      {"count", bin.count},
                      {"probability", bin.confidence},
                      {"frequency", bin.accuracy}});
    }
    out.push_back({{"index", diagram.index},
                   {"name", diagram.name},
                   {"labelled", diagram.labelled},
                   {"ece", diagram.ece},
                   {"bins", std::move(bins)}});
  }
  return out;
}

nlohmann::ordered_json ColumnToJson(const NamedMetrics& column) {
  nlohmann::ordered_json one = MetricsToJsonValue(column.metrics);
  if (!column.details.has_value()) return one;
  one["details"] = DetailsToJsonValue(*column.details);
  one["classes"] = ClassesToJson(column.classes);
  return one;
}

}  // namespace

nlohmann::ordered_json ColumnsToJson(absl::Span<const NamedMetrics> columns) {
  if (columns.size() == 1) return ColumnToJson(columns[0]);
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const NamedMetrics& column : columns) {
    nlohmann::ordered_json one = ColumnToJson(column);
    one["name"] = column.name;
    all.push_back(std::move(one));
  }
  return {{"calibrators", std::move(all)}};
}

}  // namespace calserve::cli
