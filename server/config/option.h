#ifndef CALSERVE_SERVER_CONFIG_OPTION_H_
#define CALSERVE_SERVER_CONFIG_OPTION_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/config/server_config.h"

namespace calserve {

enum class OptionKind { kText, kChoice, kList, kCount, kBytes, kDuration, kFlag };

// One thing that can be set: its names, its rule, and where its value goes.
struct Option {
  using Field = std::variant<std::string*, std::vector<std::string>*, int*, int64_t*, absl::Duration*, bool*>;

  const char* name;  // "log_level", or "batching.max_queue_rows": the key of a section
  OptionKind kind;
  const char*
      allowed;  // kChoice: the choices; kCount, kBytes, kDuration: least and largest. Separated by a space
  const char* unit;  // what a kCount counts, what a kText is
  Field (*field)(ServerConfig& config);
  const char* help;                  // what it is, and why one would change it
  const char* short_flag = nullptr;  // another name of the flag: "--lame-duck"

  std::string section() const;  // "batching"; empty
  std::string flag() const;     // "--batching-max-queue-rows"
  std::string flags() const;  // the same with the other name, as CLI11 has it: "--grpc-lame-duck,--lame-duck"
  std::string variable() const;  // "CALSERVE_BATCHING_MAX_QUEUE_ROWS"

  // What a value must be: "a duration from 10ms to 1h".
  std::string Rule() const;
  // INVALID_ARGUMENT with the rule and the text, without the name of the option.
  absl::Status Set(absl::string_view text, ServerConfig* config) const;
  // As Set takes it.
  std::string Get(ServerConfig config) const;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_OPTION_H_
