#ifndef CALSERVE_SERVER_RPC_CALL_LOG_H_
#define CALSERVE_SERVER_RPC_CALL_LOG_H_

#include <grpcpp/support/server_callback.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/logging/line_limit.h"
#include "server/logging/request_context.h"
#include "server/prediction/predictor.h"
#include "server/prediction/serving_table.h"
#include "server/rpc/methods.h"

namespace calserve {

// What is known of one call for its line in the log and its place in the counters. A value; making one
// allocates nothing.
struct CallRecord {
  const RpcMethod* method = nullptr;  // null: of no call
  grpc::CallbackServerContext* context = nullptr;
  RequestContext ids;
  std::chrono::steady_clock::time_point started;
  absl::string_view asked_model;  // as the client wrote it; outlives the call
  // Of the version that it is about; null where that is none. Not the version itself: a call may be open for
  // long, and what is withdrawn is destroyed once nobody holds it.
  std::shared_ptr<RequestCounters> counters;
  std::string model;
  int64_t version = 0;
};

// What is said and counted of every call, in one place: its ids, its line and its count. Thread-safe.
//
// A line says who called what and how it ended, never what a status says for the caller's eyes: that quotes
// what broke the rule, which may be a label or an attribute. Only of the server's own faults it has the
// sentence.
class CallLog final {
 public:
  static constexpr int kLinesPerSecond = 5;  // of each code

  explicit CallLog(Predictor& predictor) : predictor_(predictor) {}

  // Takes over the ids of the call's metadata, or makes them, and promises x-request-id in the answer's.
  static CallRecord Begin(grpc::CallbackServerContext& context, const RpcMethod& method);

  // The call ends with `status`: its line, and its count, unless the predictor counts calls of this method
  // one by one. Before the client can see it.
  void Ended(const CallRecord& call, absl::string_view who, const absl::Status& status);
  // The same of a call that was refused before it got to where its method is counted.
  void Refused(const CallRecord& call, absl::string_view who, const absl::Status& status);
  // One message of a stream that goes on was answered with an error.
  void MessageFailed(const CallRecord& call, absl::string_view who, const absl::Status& status);
  // The same of one that was refused, and so is not counted by the predictor.
  void MessageRefused(const CallRecord& call, absl::string_view who, const absl::Status& status);
  // The same of one that ends the stream, which has its own line.
  void MessageUnread(const CallRecord& call, const absl::Status& status);

 private:
  void Count(const CallRecord& call, absl::StatusCode code);
  // `what` begins the line.
  void Write(absl::string_view what, const CallRecord& call, absl::string_view who,
             const absl::Status& status);

  Predictor& predictor_;
  std::array<LineLimit, kStatusCodes> limits_ = MakeLimits(std::make_index_sequence<kStatusCodes>());

  template <size_t... code>
  static std::array<LineLimit, kStatusCodes> MakeLimits(std::index_sequence<code...>) {
    return {((void)code, LineLimit(kLinesPerSecond))...};
  }
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_CALL_LOG_H_
