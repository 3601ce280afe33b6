#!/bin/bash
# Lays out what goes into an image, a folder a layer: our programs and the libraries that the loader wants for them,
# stripped. Runs in the build stage of docker/Dockerfile.
#
#   docker/collect_files.sh [--cuda] ROOT BUILD
#
# ROOT/files.tsv lists each copied library, and each archive that is in our programs: layer, path in the image, where
# it was. make_sbom.py reads it.
set -euo pipefail

cuda=0
if [[ "${1:-}" == --cuda ]]; then
  cuda=1
  shift
fi
readonly ROOT="${1:?usage: docker/collect_files.sh [--cuda] ROOT BUILD}" BUILD="${2:?}"
readonly TORCH="$HOME/.cache/calserve/libtorch-2.15.0"
readonly LIBRARIES=usr/lib/x86_64-linux-gnu  # where the loader looks without ld.so.cache
readonly LOADER=/lib64/ld-linux-x86-64.so.2
readonly OWNER=65532

# The driver's libraries: the host's, mounted by the container runtime.
readonly FROM_DRIVER='^(libcuda\.so\.1|libnvidia-ml\.so\.1)$'

# Prints "NAME PATH" of each library that the files need, themselves left out.
closure() {
  local missing
  ldd "$@" >"$ROOT/ldd" 2>/dev/null || true
  missing="$(awk '/=> not found/ { print $1 }' "$ROOT/ldd" | sort -u | grep -vE "$FROM_DRIVER" || true)"
  if [[ -n "$missing" ]]; then
    echo "collect_files.sh: these libraries are needed and not there: $missing" >&2
    return 1
  fi
  awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' "$ROOT/ldd" | sort -u -k1,1
  rm "$ROOT/ldd"
}

layer_of() {
  case "$1" in
    "$TORCH"/torch/lib/*cuda* | "$TORCH"/torch/lib/*nvrtc* | "$TORCH"/torch/lib/*nvshmem*) echo cuda ;;
    "$TORCH"/nvidia/*/lib/libcudart.so* | "$TORCH"/nvidia/*/lib/libcupti.so*) echo torch ;;
    "$TORCH"/nvidia/*) echo cuda ;;
    "$TORCH"/*) echo torch ;;
    *) echo debian ;;
  esac
}

# copy_library NAME PATH
copy_library() {
  local path layer into
  path="$(readlink -f "$2")"
  layer="$(layer_of "$path")"
  into="$ROOT/$layer/$LIBRARIES"
  mkdir -p "$into"
  cp "$path" "$into/$1"
  # NVIDIA's licence allows redistribution of its libraries as they are.
  case "$path" in */nvidia/*) ;; *) strip --strip-unneeded "$into/$1" ;; esac
  printf '%s\t/%s/%s\t%s\n' "$layer" "$LIBRARIES" "$1" "$path" >>"$ROOT/files.tsv"
}

copy_programs() {
  mkdir -p "$ROOT/calserve/usr/bin" "$ROOT/calserve/$LIBRARIES"
  install -m 755 "$BUILD/server/calserve-server" "$BUILD/client/calserve" "$ROOT/calserve/usr/bin/"
  # An AOTInductor package asks for libtorch.so: the shim of cmake/CalserveTorch.cmake.
  install -m 755 "$BUILD/torch_shim/libtorch.so" "$ROOT/calserve/$LIBRARIES/"
  strip --strip-unneeded "$ROOT"/calserve/usr/bin/* "$ROOT/calserve/$LIBRARIES/libtorch.so"
  patchelf --remove-rpath "$ROOT"/calserve/usr/bin/* "$ROOT/calserve/$LIBRARIES/libtorch.so"
  list_archives calserve-server server/calserve-server
  list_archives calserve client/calserve
}

# list_archives PROGRAM TARGET
list_archives() {
  local archive
  if ! ninja -C "$BUILD" -t commands "$2" | grep -o '/usr/lib/[^ ]*\.a' | sort -u >"$ROOT/archives"; then
    echo "collect_files.sh: $1 has no archive; gRPC's were expected" >&2
    return 1
  fi
  while read -r archive; do
    printf '%s\t/usr/bin/%s\t%s\n' debian "$1" "$archive" >>"$ROOT/files.tsv"
  done <"$ROOT/archives"
  rm "$ROOT/archives"
}

# The loader, its compatibility names, and the little of /etc that the C library reads.
copy_base() {
  local base="$ROOT/debian"
  mkdir -p "$base/usr/lib" "$base/usr/lib64" "$base/etc" "$base/models" "$base/tmp"
  chmod 1777 "$base/tmp"
  ln -s usr/lib "$base/lib"
  ln -s usr/lib64 "$base/lib64"
  copy_library "$(basename "$LOADER")" "$LOADER"
  ln -s "/$LIBRARIES/$(basename "$LOADER")" "$base/usr/lib64/$(basename "$LOADER")"
  printf 'calserve:x:%d:%d:calserve:/data:/sbin/nologin\n' "$OWNER" "$OWNER" >"$base/etc/passwd"
  printf 'calserve:x:%d:\n' "$OWNER" >"$base/etc/group"
  printf 'hosts: files dns\n' >"$base/etc/nsswitch.conf"
  # By this NVIDIA's container runtime knows where Debian's loader looks for the driver's libraries.
  printf '12\n' >"$base/etc/debian_version"
  mkdir -p "$ROOT/data/data"
}

main() {
  local wanted=("$BUILD/server/calserve-server" "$BUILD/client/calserve" "$BUILD/torch_shim/libtorch.so") name path
  rm -rf "$ROOT" && mkdir -p "$ROOT"
  if ((cuda)); then
    # What is opened by name at run time, so that no program lists it.
    for path in "$TORCH"/torch/lib/lib{torch_cuda,torch_cuda_linalg,caffe2_nvrtc,c10_cuda}.so \
      "$TORCH"/nvidia/*/lib/lib{cudnn*,nvrtc*,nvJitLink*}.so.*; do
      [[ -f "$path" ]] || continue
      wanted+=("$path")
      copy_library "$(basename "$path")" "$path"
    done
  fi
  copy_programs
  copy_base
  closure "${wanted[@]}" >"$ROOT/closure"
  while read -r name path; do
    [[ "$name" == libtorch.so || -e "$ROOT/cuda/$LIBRARIES/$name" ]] || copy_library "$name" "$path"
  done <"$ROOT/closure"
  rm "$ROOT/closure"
  # Nothing that the finished tree needs may be missing from it.
  chroot_check
}

# Asks the copied loader, with the copied libraries alone, whether every name is found.
chroot_check() {
  local whole="$ROOT/whole" program
  mkdir "$whole"
  for layer in torch debian data calserve; do cp -a --link "$ROOT/$layer/." "$whole/"; done
  if ((cuda)); then cp -a --link "$ROOT/cuda/." "$whole/"; fi
  for program in calserve-server calserve; do
    chroot "$whole" "/$LIBRARIES/$(basename "$LOADER")" --list "/usr/bin/$program" >"$ROOT/list"
    if grep 'not found' "$ROOT/list" >&2; then
      echo "collect_files.sh: $program lacks these libraries in the image" >&2
      return 1
    fi
  done
  rm -r "$whole" "$ROOT/list"
}

main
