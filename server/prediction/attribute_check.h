#ifndef CALSERVE_SERVER_PREDICTION_ATTRIBUTE_CHECK_H_
#define CALSERVE_SERVER_PREDICTION_ATTRIBUTE_CHECK_H_

#include "absl/status/status.h"
#include "server/feedback/scored_label.h"
#include "server/prediction/serving_table.h"

namespace calserve {

// INVALID_ARGUMENT unless an input of the model may have these attributes: of the keys that its model.yaml
// lists, each once, with values that may be shown. Names the field.
absl::Status CheckAttributes(const Attributes& attributes, const ServedModel& model);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_ATTRIBUTE_CHECK_H_
