#ifndef CALSERVE_SERVER_FEEDBACK_HALF_FLOAT_H_
#define CALSERVE_SERVER_FEEDBACK_HALF_FLOAT_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "server/feedback/scored_label.h"

namespace calserve {

// IEEE 754 binary16 as bits. Hand-written, branch-free and vectorised by the compiler, so that every machine
// gives the same bits, whatever its instruction set and also where a thread flushes subnormal floats to zero.

// Rounds to nearest, ties to even. Finite values and infinities beyond ±65504 become ±65504; NaN stays NaN.
uint16_t FloatToHalf(float value);
// Exact.
float HalfToFloat(uint16_t bits);

// Puts K logits into `content`: classes, max_logit and logits_fp16.
void SetLogits(absl::Span<const float> logits, TicketContent& content);

// The K logits back: max_logit exactly, the others to the precision of fp16 below it. Empty if there are
// none.
std::vector<float> Logits(const TicketContent& content);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_HALF_FLOAT_H_
