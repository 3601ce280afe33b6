#ifndef CALSERVE_SERVER_IMAGING_PREPROCESSOR_H_
#define CALSERVE_SERVER_IMAGING_PREPROCESSOR_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/imaging/decoder.h"
#include "server/imaging/image_input_spec.h"

namespace calserve {

// Pixels that a client decoded itself: height×width×channels, rows without padding; channels is 1 (grey) or 3
// (always R, G, B).
struct PixelView {
  int height = 0;
  int width = 0;
  int channels = 0;
  absl::string_view bytes;  // one a value
};

// Turns encoded images into a model's input as its ImageInputSpec says. Immutable, a value, thread-safe. Runs
// on the calling thread: milliseconds for a photograph, so never on one of gRPC's threads.
class Preprocessor final {
 public:
  // INVALID_ARGUMENT for an invalid spec or a limit below 1 pixel.
  static absl::StatusOr<Preprocessor> Create(ImageInputSpec spec, DecodeLimits limits);

  // Writes one input, channels×height×width in C×H×W order with channels in the order of spec().color, to
  // `out`, which must have output_size() floats. INVALID_ARGUMENT says what is wrong with the bytes; `out` is
  // then unspecified.
  absl::Status Run(absl::string_view encoded, absl::Span<float> out) const;
  // The same from pixels, as if an image file had been decoded to them: grey becomes colour and colour grey
  // as in Decode. They may have any size within the limits.
  absl::Status Run(const PixelView& pixels, absl::Span<float> out) const;

  int64_t output_size() const { return spec_.output_size(); }
  const ImageInputSpec& spec() const { return spec_; }

 private:
  Preprocessor(ImageInputSpec spec, DecodeLimits limits);
  absl::Status CheckRoom(absl::Span<float> out) const;
  absl::Status RunDecoded(Image image, absl::Span<float> out) const;

  ImageInputSpec spec_;
  DecodeLimits limits_;
  // Per channel, what each of the 256 pixel values becomes: scaling and normalising is one look-up.
  std::vector<std::array<float, 256>> normalised_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_IMAGING_PREPROCESSOR_H_
