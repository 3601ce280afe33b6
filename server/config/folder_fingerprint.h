#ifndef CALSERVE_SERVER_CONFIG_FOLDER_FINGERPRINT_H_
#define CALSERVE_SERVER_CONFIG_FOLDER_FINGERPRINT_H_

#include <string>

namespace calserve {

// What tells that something below a folder changed: path, size, times of change and inode of every file, as
// text. No file is read. Empty where there is no such folder; symbolic links are followed, names that start
// with a dot are left out.
std::string FolderFingerprint(const std::string& folder);
// The same of one file; empty where it is not there.
std::string FileFingerprint(const std::string& file);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_FOLDER_FINGERPRINT_H_
