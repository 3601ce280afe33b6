#ifndef CALSERVE_SERVER_CONFIG_EXIT_CODES_H_
#define CALSERVE_SERVER_CONFIG_EXIT_CODES_H_

namespace calserve {

// What calserve-server exits with.
inline constexpr int kExitOk = 0;
inline constexpr int kExitOutput = 1;   // standard output does not take what was asked for
inline constexpr int kExitConfig = 2;   // wrong usage or configuration
inline constexpr int kExitModel = 3;    // a model cannot be loaded
inline constexpr int kExitAddress = 4;  // the address cannot be had
inline constexpr int kExitStore = 5;    // the store cannot be opened
inline constexpr int kExitDevice = 6;   // a device was lost while serving: a restart may have it again

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_EXIT_CODES_H_
