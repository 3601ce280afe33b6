#ifndef CALSERVE_CLIENT_CLI_LABELLED_IMAGES_H_
#define CALSERVE_CLIENT_CLI_LABELLED_IMAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration_io/file.h"
#include "client/types.h"

namespace calserve::cli {

struct LabelledImage {
  std::string path;
  int32_t class_index = 0;
};

// The images of `path`: a folder with one sub-folder per class, named as the class, or a CSV list
// "path,label" whose paths are relative to the list. A label is the name of a class; one that no class has
// may be the index of one. In the order of folder and file names, or of the list. Nothing is opened yet.
// Errors name the file whose label is no class of `model`.
absl::StatusOr<std::vector<LabelledImage>> ListLabelledImages(const std::string& path,
                                                              const client::ModelInfo& model);

// Looks at every file before the first is sent: a regular file that can be read and has 1 to
// `max_bytes`. The error names the first that is not, and counts them.
absl::Status CheckImageFiles(const std::vector<LabelledImage>& images,
                             int64_t max_bytes = kMaxImageFileBytes);

// Of all files together; one that cannot be looked at counts nothing.
int64_t TotalBytes(const std::vector<LabelledImage>& images);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_LABELLED_IMAGES_H_
