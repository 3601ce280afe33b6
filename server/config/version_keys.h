#ifndef CALSERVE_SERVER_CONFIG_VERSION_KEYS_H_
#define CALSERVE_SERVER_CONFIG_VERSION_KEYS_H_

#include "server/config/mapping_reader.h"
#include "server/model/version_policy.h"

namespace calserve {

// The keys of model.yaml that say which versions are served and to whom:
//
//   versions: {latest: 2}                     # or latest (the same as latest: 1), all, [1, 3]
//   version_labels: {stable: 3, canary: 4}
//   traffic: {stable: 95, canary: 5}
void ReadVersionKeys(MappingReader* reader, VersionPolicy* policy, VersionRouting* routing);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_VERSION_KEYS_H_
