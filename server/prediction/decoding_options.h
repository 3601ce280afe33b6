#ifndef CALSERVE_SERVER_PREDICTION_DECODING_OPTIONS_H_
#define CALSERVE_SERVER_PREDICTION_DECODING_OPTIONS_H_

#include <cstdint>

namespace calserve {

struct DecodingOptions {
  int threads = 0;  // 0: one a core
  // Of one model; beyond either RESOURCE_EXHAUSTED. Models are decoded for in turn.
  int max_queued_images = 256;
  int64_t max_queued_bytes = int64_t{256} << 20;  // of images, encoded and as model input
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_DECODING_OPTIONS_H_
