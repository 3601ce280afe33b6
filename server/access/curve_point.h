#ifndef CALSERVE_SERVER_ACCESS_CURVE_POINT_H_
#define CALSERVE_SERVER_ACCESS_CURVE_POINT_H_

#include "absl/strings/string_view.h"

namespace calserve {

// Whether the coordinates of a public key, base64url as a JWK has them, are a point that such a key can be:
// on the curve, and not its point at infinity or one of small order. `curve`: P-256, P-384, P-521 with x and
// y, Ed25519 with x.
bool IsCurvePoint(absl::string_view curve, absl::string_view x, absl::string_view y);

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_CURVE_POINT_H_
