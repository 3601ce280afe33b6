#ifndef CALSERVE_TESTS_UNIT_CALIBRATION_IO_NPY_BYTES_H_
#define CALSERVE_TESTS_UNIT_CALIBRATION_IO_NPY_BYTES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace calserve {

// A .npy file by hand, as the format's specification has it (numpy/lib/format.py).
inline std::string NpyFile(const std::string& header, const std::string& elements, int major = 1) {
  std::string padded = header;
  const size_t prefix = major == 1 ? 10 : 12;
  while ((prefix + padded.size() + 1) % 64 != 0) padded.push_back(' ');
  padded.push_back('\n');
  std::string out = "\x93NUMPY";
  out.push_back(static_cast<char>(major));
  out.push_back('\0');
  for (size_t i = 0; i < (major == 1 ? 2 : 4); ++i)
    out.push_back(static_cast<char>(padded.size() >> (8 * i)));
  return out + padded + elements;
}

inline std::string NpyHeader(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }";
}

// The bytes of values as they lie in memory.
template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CALIBRATION_IO_NPY_BYTES_H_
