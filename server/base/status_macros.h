#ifndef CALSERVE_SERVER_BASE_STATUS_MACROS_H_
#define CALSERVE_SERVER_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// RETURN_IF_ERROR(expr): returns the status of expr from the enclosing function unless it is OK.
#define RETURN_IF_ERROR(expr)                                         \
  do {                                                                \
    if (absl::Status _status = (expr); !_status.ok()) return _status; \
  } while (false)

// ASSIGN_OR_RETURN(lhs, expr): assigns the value of a StatusOr to lhs, or returns its status.
#define ASSIGN_OR_RETURN(lhs, expr) \
  CALSERVE_ASSIGN_OR_RETURN_IMPL_(CALSERVE_CONCAT_(_status_or_, __LINE__), lhs, expr)
#define CALSERVE_ASSIGN_OR_RETURN_IMPL_(status_or, lhs, expr) \
  auto status_or = (expr);                                    \
  if (!status_or.ok()) return status_or.status();             \
  lhs = *std::move(status_or)
#define CALSERVE_CONCAT_INNER_(a, b) a##b
#define CALSERVE_CONCAT_(a, b) CALSERVE_CONCAT_INNER_(a, b)

#endif  // CALSERVE_SERVER_BASE_STATUS_MACROS_H_
