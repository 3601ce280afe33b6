#ifndef CALSERVE_TESTS_UNIT_IMAGING_PNG_BUILDER_H_
#define CALSERVE_TESTS_UNIT_IMAGING_PNG_BUILDER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace calserve {

std::string PngSignature();

// A chunk with its length and checksum.
std::string PngChunk(absl::string_view type, absl::string_view data);

// IHDR; colour types: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
std::string PngHeader(uint32_t width, uint32_t height, int bit_depth, int color_type);

// `count` zero bytes, compressed by zlib at `level`; never holds them in memory.
std::string DeflatedZeros(int64_t count, int level);
std::string Deflated(absl::string_view data, int level);

// `png` with every chunk's checksum set right.
std::string WithValidChecksums(std::string png);

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_IMAGING_PNG_BUILDER_H_
