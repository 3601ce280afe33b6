#ifndef CALSERVE_CLIENT_CLI_COLUMNS_JSON_H_
#define CALSERVE_CLIENT_CLI_COLUMNS_JSON_H_

#include "absl/types/span.h"
#include "client/cli/metrics_table.h"
#include "nlohmann/json.hpp"

namespace calserve::cli {

// The metrics of the one column, or "calibrators": a list of them with their names. With details also
// "classes": [{index, name, labelled, ece, bins [{lower, upper, count, probability, frequency}]}].
nlohmann::ordered_json ColumnsToJson(absl::Span<const NamedMetrics> columns);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_COLUMNS_JSON_H_
