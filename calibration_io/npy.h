#ifndef CALSERVE_CALIBRATION_IO_NPY_H_
#define CALSERVE_CALIBRATION_IO_NPY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

// An array of numbers as numpy.save writes it: what a training pipeline has at hand.
struct NpyArray {
  std::string dtype;  // as in the file: "<f4", "<f8", "|u1", "<i8", ...
  std::vector<int64_t> shape;
  // Row-major. Integers of every width are widened to int64.
  std::variant<std::vector<float>, std::vector<double>, std::vector<int64_t>> values;
};

// Reads the bytes of a .npy file, format versions 1, 2 and 3: float32, float64, int8 to int64 and uint8 to
// uint64, little-endian, N or N×K; Fortran order is transposed. `max_dimensions` above 2 allows more of them,
// in C order. INVALID_ARGUMENT names `name` (of the file), the dtype and the shape, and says what to do.
// Memory is bounded by the size of `bytes`: a header that promises more is refused.
absl::StatusOr<NpyArray> ParseNpy(absl::string_view bytes, absl::string_view name, size_t max_dimensions = 2);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_NPY_H_
