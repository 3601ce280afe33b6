#ifndef CALSERVE_SERVER_LOGGING_LOG_FIELDS_H_
#define CALSERVE_SERVER_LOGGING_LOG_FIELDS_H_

#include "absl/types/span.h"
#include "server/logging/log.h"

namespace calserve {

// Of the line that this thread is logging by Log; spdlog has no room for them. Of this folder only.
absl::Span<const LogField> FieldsOfThread();

}  // namespace calserve

#endif  // CALSERVE_SERVER_LOGGING_LOG_FIELDS_H_
