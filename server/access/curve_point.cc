#include "server/access/curve_point.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <sodium.h>

#include <memory>
#include <optional>
#include <string>

namespace calserve {
namespace {

struct Free {
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(EC_GROUP* group) const { EC_GROUP_free(group); }
  void operator()(EC_POINT* point) const { EC_POINT_free(point); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

std::optional<std::string> Decode(absl::string_view base64url) {
  std::string bytes(base64url.size(), '\0');
  size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), base64url.data(),
                        base64url.size(), nullptr, &size, nullptr,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
    return std::nullopt;
  }
  bytes.resize(size);
  return bytes;
}

Owned<BIGNUM> Number(const std::string& bytes) {
  return Owned<BIGNUM>(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                                 static_cast<int>(bytes.size()), nullptr));
}

int NidOf(absl::string_view curve) {
  if (curve == "P-256") return NID_X9_62_prime256v1;
  if (curve == "P-384") return NID_secp384r1;
  return curve == "P-521" ? NID_secp521r1 : NID_undef;
}

}  // namespace

bool IsCurvePoint(absl::string_view curve, absl::string_view x, absl::string_view y) {
  const std::optional<std::string> x_bytes = Decode(x), y_bytes = Decode(y);
  if (!x_bytes.has_value() || !y_bytes.has_value()) return false;
  if (curve == "Ed25519") {
    return x_bytes->size() == crypto_core_ed25519_BYTES &&
           crypto_core_ed25519_is_valid_point(reinterpret_cast<const unsigned char*>(x_bytes->data())) == 1;
  }
  const Owned<EC_GROUP> group(EC_GROUP_new_by_curve_name(NidOf(curve)));
  if (group == nullptr) return false;
  const Owned<EC_POINT> point(EC_POINT_new(group.get()));
  const Owned<BIGNUM> x_number = Number(*x_bytes), y_number = Number(*y_bytes);
  // Fails for what is not on the curve.
  const bool is_point = EC_POINT_set_affine_coordinates(group.get(), point.get(), x_number.get(),
                                                        y_number.get(), nullptr) == 1 &&
                        EC_POINT_is_on_curve(group.get(), point.get(), nullptr) == 1;
  ERR_clear_error();
  return is_point;
}

}  // namespace calserve
