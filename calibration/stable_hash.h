#ifndef CALSERVE_CALIBRATION_STABLE_HASH_H_
#define CALSERVE_CALIBRATION_STABLE_HASH_H_

#include <cstdint>

namespace calserve {

// A 64-bit hash of a sequence of 64-bit words, the same on every machine and in every version: it divides
// folds and guards stored state. Not for adversaries. Each word is mixed in by the finaliser of SplitMix64
// (Steele, Lea and Flood, 2014).
class StableHash {
 public:
  void Add(uint64_t word) {
    uint64_t x = (state_ ^ word) + 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    state_ = x ^ (x >> 31);
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_STABLE_HASH_H_
