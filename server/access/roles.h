#ifndef CALSERVE_SERVER_ACCESS_ROLES_H_
#define CALSERVE_SERVER_ACCESS_ROLES_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

// What a caller may do. A token or a certificate name has any of them; `admin` has `read` with it, for nobody
// should change what they cannot see, and nothing else.
enum class Role : uint8_t {
  kPredict = 1,   // ask for predictions
  kFeedback = 2,  // send true labels
  kRead = 4,      // see reports, calibrators, alarms, metrics, the dashboard
  kAdmin = 8,     // change what is served: fit, activate, roll back, acknowledge, load, unload
};

// A set of roles. A value.
class Roles final {
 public:
  constexpr Roles() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): one role is a set of one.
  constexpr Roles(Role role) : bits_(static_cast<uint8_t>(role)) {}
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles) bits_ |= static_cast<uint8_t>(role);
  }
  static constexpr Roles All() { return {Role::kPredict, Role::kFeedback, Role::kRead, Role::kAdmin}; }

  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool Intersects(Roles other) const { return (bits_ & other.bits_) != 0; }
  constexpr bool Has(Role role) const { return Intersects(role); }
  constexpr Roles With(Roles other) const {
    Roles out = *this;
    out.bits_ |= other.bits_;
    return out;
  }
  friend constexpr bool operator==(Roles, Roles) = default;

  // "predict,read"; "none".
  std::string ToString() const;

 private:
  uint8_t bits_ = 0;
};

// Names with `separator` between them: "predict,feedback". INVALID_ARGUMENT for a name that is no role's, and
// for none at all.
absl::StatusOr<Roles> ParseRoles(absl::string_view names, char separator);

// The role of that name, `admin` with its `read`; the empty set for any other name.
Roles RoleNamed(absl::string_view name);

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_ROLES_H_
