#ifndef CALSERVE_TESTS_UNIT_IMAGING_FIXTURES_H_
#define CALSERVE_TESTS_UNIT_IMAGING_FIXTURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "nlohmann/json.hpp"

namespace calserve::imaging_fixtures {

// tests/fixtures/imaging/index.json; make_fixtures.py beside it says what it holds.
const nlohmann::json& Index();

// The bytes of tests/fixtures/imaging/images/`file`.
std::string ImageFile(const std::string& file);

// The array of an entry of the index; it lives as long as the process. T: uint8_t, or float for "normalised".
template <typename T = uint8_t>
absl::Span<const T> Expected(const nlohmann::json& entry);

// The largest absolute difference; 256 where the sizes differ.
int LargestDifference(absl::Span<const uint8_t> a, absl::Span<const uint8_t> b);

}  // namespace calserve::imaging_fixtures

#endif  // CALSERVE_TESTS_UNIT_IMAGING_FIXTURES_H_
