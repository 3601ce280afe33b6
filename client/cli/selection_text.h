#ifndef CALSERVE_CLIENT_CLI_SELECTION_TEXT_H_
#define CALSERVE_CLIENT_CLI_SELECTION_TEXT_H_

#include <string>

#include "client/types.h"

namespace calserve::cli {

const char* StateName(client::LabelSelection::State state);

// One line, without its end: how many predictions are labelled, how soon, and whether they look like all.
//   "labelled 120 of 4000 predictions (3.0 %), after 2h (median); mean confidence 0.71, of all 0.83:
//   SELECTIVE_LABELS"
std::string SelectionLine(const client::LabelSelection& selection);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_SELECTION_TEXT_H_
