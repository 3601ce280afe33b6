#include "server/rpc/server_service.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/error_info.h"
#include "server/logging/log.h"
#include "server/rpc/message_call.h"

namespace calserve {
namespace {

constexpr char kPrefix[] = "LOG_LEVEL_";

v1::LogLevel LevelToProto(const std::string& level) {
  v1::LogLevel out = v1::LOG_LEVEL_UNSPECIFIED;
  v1::LogLevel_Parse(absl::StrCat(kPrefix, absl::AsciiStrToUpper(level)), &out);
  return out;
}

absl::StatusOr<std::string> LevelFromProto(v1::LogLevel level) {
  if (level == v1::LOG_LEVEL_UNSPECIFIED || !v1::LogLevel_IsValid(level)) {
    return WithField(absl::InvalidArgumentError(absl::StrCat("level must be DEBUG, INFO, WARN or ERROR; was ",
                                                             static_cast<int>(level))),
                     "level");
  }
  absl::string_view name = v1::LogLevel_Name(level);
  absl::ConsumePrefix(&name, kPrefix);
  return absl::AsciiStrToLower(name);
}

}  // namespace

grpc::ServerUnaryReactor* ServerService::GetLogLevel(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* bytes,
                                                     grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::GetLogLevelRequest, v1::GetLogLevelResponse>;
  auto* call = new Call(calls_, gate_.Authorize(*context, method::kGetLogLevel), answer);
  if (!call->Read(bytes)) return call;
  call->response().set_level(LevelToProto(LogLevel()));
  call->Reply(absl::OkStatus());
  return call;
}

grpc::ServerUnaryReactor* ServerService::SetLogLevel(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* bytes,
                                                     grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::SetLogLevelRequest, v1::SetLogLevelResponse>;
  auto* call = new Call(calls_, gate_.Authorize(*context, method::kSetLogLevel), answer);
  if (!call->Read(bytes)) return call;
  const auto* const request = &call->request();
  const absl::StatusOr<std::string> level = LevelFromProto(request->level());
  if (!level.ok()) {
    call->Reply(level.status());
    return call;
  }
  const std::string before = LogLevel();
  call->admission().Note("before", before);
  call->admission().Note("after", *level);
  call->response().set_previous(LevelToProto(before));
  call->Reply(calserve::SetLogLevel(*level));
  return call;
}

}  // namespace calserve
