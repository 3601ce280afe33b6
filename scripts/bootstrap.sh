#!/bin/bash
# Installs what building calserve needs and is not there yet: Debian packages, and LibTorch from pinned wheels,
# unpacked once a user under ${XDG_CACHE_HOME:-~/.cache}/calserve. Safe to run again, and by two at once.
#
#   scripts/bootstrap.sh          to build, test and run the demo
#   scripts/bootstrap.sh --lint   also what ./dev format and ./dev lint need
#   scripts/bootstrap.sh --full   also what ./dev test --full needs: a browser, and Prometheus, whose package also
#                                 starts one at port 9090 where services are started
#   scripts/bootstrap.sh --images also what the tests of images need: an engine, Compose, Prometheus
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LIBTORCH_VERSION=2.15.0  # as in libtorch-requirements.txt and cmake/CalserveTorch.cmake
readonly CACHE="${XDG_CACHE_HOME:-${HOME:?}/.cache}/calserve"

readonly BUILD_PACKAGES=(
  build-essential cmake ninja-build ccache pkg-config
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler
  libopencv-imgproc-dev libturbojpeg0-dev libspng-dev libwebp-dev zlib1g-dev libminizip-dev
  libsqlite3-dev libsodium-dev librhonabwy-dev libjansson-dev libssl-dev openssl libjemalloc-dev libspdlog-dev libyaml-cpp-dev libcli11-dev nlohmann-json3-dev libeigen3-dev
  libnlopt-dev libcpp-httplib-dev prometheus-cpp-dev libjs-dygraphs
  libgtest-dev libgmock-dev libbenchmark-dev
  dataset-fashion-mnist sqlite3 python3 python3-pip python3-venv unzip ca-certificates
)
readonly IMAGE_PACKAGES=(docker.io docker-compose debootstrap iptables prometheus)
readonly FULL_PACKAGES=(chromium prometheus)
readonly LINT_PACKAGES=(clang clang-format clang-tidy libclang-rt-14-dev shellcheck)

say() { printf '== %s\n' "$*"; }
die() {
  printf 'bootstrap: %s\n' "$@" >&2
  exit 1
}

check_platform() {
  local system
  # shellcheck source=/dev/null
  system="$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-}")" || system=unknown
  if [[ "$system" == "ubuntu 24.04" ]]; then
    say "Ubuntu 24.04: expected to work, but not verified"
  elif [[ "$system" != "debian 12" || "$(uname -m)" != x86_64 ]]; then
    die "this is $system on $(uname -m); calserve builds on Debian 12, x86-64." \
      "Where there is a container engine, run it in a debian:bookworm container:" \
      "  docker run -it -v \"\$PWD\":/src -w /src debian:bookworm ./dev test"
  fi
}

# Prints those of the packages that are not installed.
missing_packages() {
  local installed package
  # dpkg-query fails where it has never heard of one of them, and says the others all the same.
  installed="$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)"
  for package in "$@"; do
    grep -qx "installed $package" <<<"$installed" || echo "$package"
  done
}

install_packages() {
  local missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then
    say "Debian packages: all there"
    return
  fi
  say "Debian packages: installing ${missing[*]}"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "installing packages needs root or sudo: run as root, or install them yourself"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qy --no-install-recommends -o DPkg::Lock::Timeout=600 "${missing[@]}"
}

python_with_pip() {
  local python
  for python in /usr/bin/python3 python3; do
    "$python" -m pip --version >/dev/null 2>&1 && echo "$python" && return
  done
  die "no python3 with pip: apt-get install python3-pip"
}

# Downloads the wheels and keeps of them what compiling and running C++ needs: 1.1 of 1.3 GB.
unpack_libtorch() {
  local into="$1" work wheel python free_kb keep
  free_kb="$(df --output=avail -k "$CACHE" | tail -1)"
  ((free_kb > 2500000)) || die "$CACHE has $((free_kb / 1024)) MB free; LibTorch needs 2,500 MB while it is unpacked"
  python="$(python_with_pip)"
  work="$(mktemp -d "$CACHE/unpacking.XXXXXX")"
  say "LibTorch $LIBTORCH_VERSION: downloading three wheels, 553 MB"
  # The platform tags matter: without them pip takes a stub of another version. Hashes are checked by pip.
  "$python" -m pip --disable-pip-version-check --no-cache-dir download --require-hashes --no-deps \
    --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 \
    --dest "$work/wheels" -r scripts/libtorch-requirements.txt
  for wheel in "$work"/wheels/*.whl; do
    say "LibTorch $LIBTORCH_VERSION: unpacking ${wheel##*/}, $(($(stat -c %s "$wheel") / 1000000)) MB"
    case "${wheel##*/}" in
      torch-*) keep=('torch/include/*' 'torch/lib/*' 'torch/share/*' '*.dist-info/*' -x '*/libtorch_python.so') ;;
      *) keep=('nvidia/*/lib/*' '*.dist-info/*') ;;
    esac
    unzip -q "$wheel" "${keep[@]}" -d "$work/tree"
  done
  [[ -f "$work/tree/torch/lib/libtorch_cpu.so" ]] || die "the torch wheel holds no torch/lib/libtorch_cpu.so"
  mv "$work/tree" "$into"
  rm -rf "$work"
}

# One at a time: a second process waits, then sees the folder that the first one made. The folder appears whole, by a
# rename, or not at all.
install_libtorch() {
  local into="$CACHE/libtorch-$LIBTORCH_VERSION"
  if [[ ! -d "$into" ]]; then
    mkdir -p "$CACHE"
    exec 9>"$CACHE/lock"
    flock -n 9 || { say "LibTorch: waiting for another set-up of it" && flock 9; }
    rm -rf "$CACHE"/unpacking.*  # of one that was killed: the lock is ours
    [[ -d "$into" ]] || unpack_libtorch "$into"
    exec 9>&-
  fi
  say "LibTorch $LIBTORCH_VERSION: in $into"
}

main() {
  local packages=("${BUILD_PACKAGES[@]}")
  case "${1:-}" in
    "") ;;
    --lint) packages+=("${LINT_PACKAGES[@]}") ;;
    --full) packages+=("${FULL_PACKAGES[@]}") ;;
    --images) packages+=("${IMAGE_PACKAGES[@]}") ;;
    *) die "unknown argument $1; --lint, --full and --images are known" ;;
  esac
  check_platform
  install_packages "${packages[@]}"
  install_libtorch
}

main "$@"
