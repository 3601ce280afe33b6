#ifndef CALSERVE_SERVER_HTTP_PAGE_FILES_H_
#define CALSERVE_SERVER_HTTP_PAGE_FILES_H_

#include "absl/strings/string_view.h"

namespace calserve {

// A file of the page, as the build put it into this program (embed_page.cmake).
struct PageFile {
  absl::string_view path;  // "/page.js"; "/" is index.html
  absl::string_view type;  // "text/javascript; charset=utf-8"
  absl::string_view etag;  // of the content, quoted
  absl::string_view content;
};

// Null where there is no such file.
const PageFile* FindPageFile(absl::string_view path);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_PAGE_FILES_H_
