#ifndef CALSERVE_TESTS_UNIT_LOGGING_CAPTURED_LOG_H_
#define CALSERVE_TESTS_UNIT_LOGGING_CAPTURED_LOG_H_

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>
#include <utility>

namespace calserve {

// While it lives, what is logged is here, and nowhere else.
class CapturedLog {
 public:
  // Null: spdlog's own format.
  explicit CapturedLog(std::unique_ptr<spdlog::formatter> formatter = nullptr) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(out_);
    if (formatter != nullptr) sink->set_formatter(std::move(formatter));
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("", std::move(sink)));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  std::string text() const { return out_.str(); }
  void Clear() { out_.str(""); }

 private:
  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream out_;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_LOGGING_CAPTURED_LOG_H_
