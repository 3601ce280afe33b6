#include "server/monitoring/shadow_fold.h"

#include <algorithm>

namespace calserve {

void ShadowFold::KeepOnly(const ShadowList& list) {
  std::erase_if(entries_, [&](const auto& entry) {
    return std::none_of(list.begin(), list.end(), [&](const ShadowCalibrator& shadow) {
      return shadow.key == entry.first && shadow.after_position == entry.second.shadow.after_position;
    });
  });
}

ShadowFold::Entry* ShadowFold::Find(const MonitorKey& key) {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

const ShadowFold::Entry* ShadowFold::Find(const MonitorKey& key) const {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

}  // namespace calserve
