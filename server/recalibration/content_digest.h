#ifndef CALSERVE_SERVER_RECALIBRATION_CONTENT_DIGEST_H_
#define CALSERVE_SERVER_RECALIBRATION_CONTENT_DIGEST_H_

#include <string>

#include "absl/strings/string_view.h"

namespace calserve {

// SHA-256 of the content of a calibrator, 64 lower-case hex digits: what its version is known by everywhere.
std::string ContentDigest(absl::string_view content);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_CONTENT_DIGEST_H_
