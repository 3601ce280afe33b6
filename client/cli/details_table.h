#ifndef CALSERVE_CLIENT_CLI_DETAILS_TABLE_H_
#define CALSERVE_CLIENT_CLI_DETAILS_TABLE_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "client/cli/metrics_table.h"

namespace calserve::cli {

// A row a metric of the details: its name, then its value, with its interval or p-value, for each of
// `columns`;
// "-" where it is unset. None where no column has details.
std::vector<std::vector<std::string>> DetailsRows(absl::Span<const NamedMetrics> columns);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_DETAILS_TABLE_H_
