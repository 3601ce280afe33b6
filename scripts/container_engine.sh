#!/bin/bash
# For tests of the images on a Debian 12 machine without a container engine of its own, or without an image registry:
# starts a Docker engine, and makes the base image. Each does nothing where it is there already. Needs root, and the
# packages of `scripts/bootstrap.sh --images`.
#
#   scripts/container_engine.sh start   start dockerd and wait for it
#   scripts/container_engine.sh base    pull debian:bookworm-slim, else make a stand-in
#   scripts/container_engine.sh status  say what runs, and whether the base image is there
#   scripts/container_engine.sh stop    stop exactly the dockerd that start started
#
# CONTAINER_ENGINE_DIR is the folder for dockerd.pid and dockerd.log; without it a new one by mktemp, which the next
# call finds again. The stand-in is made by debootstrap from this machine's own apt sources, and trusts what
# certificate authorities an administrator added here: it is for tests, never to publish. Build with --network host.
set -euo pipefail

readonly SUITE=bookworm
readonly IMAGE="debian:$SUITE-slim"
readonly PREFIX=container-engine
readonly LABEL=local.base=debootstrap
readonly TIMEOUT=60  # seconds, for start and for stop
WORK=

say() { printf '%s: %s\n' "$PREFIX" "$*" >&2; }
die() { say "error: $*"; exit 1; }
cleanup() { if [ -n "$WORK" ]; then rm -rf --one-file-system -- "$WORK"; fi; }
trap cleanup EXIT

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0"; }
need_root() { [ "$(id -u)" -eq 0 ] || die "$1 needs root"; }
have() { command -v "$1" >/dev/null 2>&1; }
# The daemon, asked without words on either stream.
ready() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# Start time of a process in clock ticks: with the pid it names one process.
# Nothing for one that has ended, a zombie included.
start_time() {
  sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 !~ /[ZX]/ { print $20 }'
}

# alive DIR: whether DIR/dockerd.pid ("PID START") names a dockerd that lives.
alive() {
  local pid started
  [ -r "$1/dockerd.pid" ] || return 1
  read -r pid started <"$1/dockerd.pid" || return 1
  case $pid$started in '' | *[!0-9]*) return 1 ;; esac
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] &&
    [ "$(start_time "$pid")" = "$started" ]
}

# The folder of the dockerd that start started, empty where there is none.
state_dir() {
  local dir
  if [ -n "${CONTAINER_ENGINE_DIR:-}" ]; then
    if alive "$CONTAINER_ENGINE_DIR"; then printf '%s\n' "$CONTAINER_ENGINE_DIR"; fi
    return 0
  fi
  for dir in "${TMPDIR:-/tmp}/$PREFIX".*; do
    if [ -d "$dir" ] && [ -O "$dir" ] && alive "$dir"; then
      printf '%s\n' "$dir"
      return 0
    fi
  done
}

check_installed() {
  local program
  for program in "$@"; do
    have "$program" || die "no $program here: scripts/bootstrap.sh --images installs it"
  done
}

# A dockerd that was killed leaves its containerd's pid behind: the next one
# would wait in vain for that containerd, or for whatever has that pid now.
drop_stale_containerd() {
  local file=/var/run/docker/containerd/containerd.pid pid
  [ -r "$file" ] || return 0
  pid=$(tr -cd 0-9 <"$file")
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != containerd ] || [ -z "$(start_time "$pid")" ]; then
    rm -f -- "$file"
  fi
}

cmd_start() {
  local dir pid waited
  need_root start
  check_installed docker dockerd iptables
  dir=$(state_dir)
  if ready; then
    if [ -n "$dir" ]; then
      say "already running, folder $dir"
    else
      say "a daemon that this script did not start answers already: using it"
    fi
    return 0
  fi
  [ -z "$dir" ] || die "the dockerd of $dir lives but does not answer: see $dir/dockerd.log"

  dir=${CONTAINER_ENGINE_DIR:-}
  if [ -n "$dir" ]; then mkdir -p -- "$dir"; else dir=$(mktemp -d -t "$PREFIX.XXXXXX"); fi
  drop_stale_containerd
  setsid dockerd --pidfile "$dir/dockerd.own.pid" \
    >"$dir/dockerd.log" 2>&1 </dev/null &
  pid=$!
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$dir/dockerd.pid"

  for ((waited = 0; waited < TIMEOUT * 5; waited++)); do
    if ready; then
      say "dockerd $(docker version --format '{{.Server.Version}}') ready, pid $pid, folder $dir"
      return 0
    fi
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 5 "$dir/dockerd.log" >&2
      rm -f -- "$dir/dockerd.pid"
      die "dockerd ended while starting: see $dir/dockerd.log"
    fi
    sleep 0.2
  done
  tail -n 5 "$dir/dockerd.log" >&2
  die "dockerd (pid $pid) not ready after $TIMEOUT s: see $dir/dockerd.log"
}

# This machine's Debian sources for SUITE, one "URI RELEASE COMPONENT" a line.
# shellcheck disable=SC2016  # $(…) here is apt's own template syntax
sources() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' \
    'Created-By: Packages' |
    awk -v s="$SUITE" '$4 == "Debian" && ($2 == s || $2 ~ "^" s "-") { print $1, $2, $3 }' |
    sort -u
}

# What Debian's official images set too, and this machine's apt settings.
configure_rootfs() {
  local root=$1 list=$2 key=$3
  awk -v k="$key" '{ print "deb [signed-by=" k "]", $0 }' "$list" >"$root/etc/apt/sources.list"
  {
    echo 'Acquire::Languages "none";'
    echo 'Acquire::GzipIndexes "true";'
    echo 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";'
    echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };'
    apt-config dump Acquire | grep -E '^Acquire::(Check-(Valid-Until|Date)|https?::[A-Za-z:]*Proxy) ' || true
  } >"$root/etc/apt/apt.conf.d/90local-base"
  echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/local-base"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  # CAs that an administrator added here: inert until ca-certificates is
  # installed in a build, then trusted by pip and curl as they are outside.
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -L /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
  fi
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin \
    "$root"/var/cache/apt/archives/*.deb "$root"/var/log/*.log "$root"/var/log/apt/* \
    "$root"/var/cache/ldconfig/aux-cache "$root"/etc/machine-id
  : >"$root/etc/machine-id"
  # The machine's own name and resolver are no part of an image.
  rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
}

slim_rootfs() {
  local root=$1
  cat >"$root/etc/dpkg/dpkg.cfg.d/local-base-slim" <<'CFG'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/groff/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/locale/*
CFG
  find "$root/usr/share/doc" -mindepth 2 ! -type d ! -name copyright -delete
  find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
  rm -rf "$root"/usr/share/{man,info,groff,lintian,linda,locale}
  mkdir -p "$root"/usr/share/{man,info,locale}
}

import_rootfs() {
  tar -C "$1" --numeric-owner -c . | docker import \
    -c 'CMD ["bash"]' \
    -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    -c "LABEL $LABEL" - "$2" >/dev/null || die "docker import of $2 failed"
  say "made $2"
}

cmd_base() {
  local uri key
  ready || die "no Docker daemon answers: run '$0 start' first"
  if docker image inspect "$IMAGE" >/dev/null 2>&1; then
    say "$IMAGE is there already"
    return 0
  fi
  if timeout 120 docker pull --quiet "$IMAGE" >/dev/null 2>&1; then
    say "pulled $IMAGE"
    return 0
  fi
  say "$IMAGE cannot be pulled: making a stand-in"
  need_root base
  check_installed debootstrap
  WORK=$(mktemp -d -t "$PREFIX-root.XXXXXX")
  sources >"$WORK/sources"
  if [ ! -s "$WORK/sources" ]; then
    apt-get update -qq || die "apt-get update failed"
    sources >"$WORK/sources"
  fi
  uri=$(awk -v s="$SUITE" '$2 == s && $3 == "main" { print $1; exit }' "$WORK/sources")
  [ -n "$uri" ] || die "this machine's apt sources have no Debian $SUITE main"
  key=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -r "$key" ] || die "no $key: install debian-archive-keyring"

  say "debootstrap of $SUITE"
  debootstrap --variant=minbase --keyring="$key" "$SUITE" "$WORK/root" "$uri" \
    >"$WORK/debootstrap.log" 2>&1 || {
    tail -n 5 "$WORK/debootstrap.log" >&2
    die "debootstrap failed"
  }
  configure_rootfs "$WORK/root" "$WORK/sources" "$key"
  slim_rootfs "$WORK/root"
  import_rootfs "$WORK/root" "$IMAGE"
}

cmd_status() {
  local dir
  dir=$(state_dir)
  if ! have docker; then
    say "no docker client"
  elif ready; then
    say "dockerd $(docker version --format '{{.Server.Version}}') answers, started by this script: $([ -n "$dir" ] && echo "yes, folder $dir" || echo no)"
    docker image inspect --format "$IMAGE {{.Size}} bytes" "$IMAGE" 2>/dev/null || say "$IMAGE: not there"
    return 0
  else
    say "no daemon answers"
  fi
  return 1
}

cmd_stop() {
  local dir pid waited
  dir=$(state_dir)
  if [ -z "$dir" ]; then
    say "no dockerd of this script is running"
    return 0
  fi
  read -r pid _ <"$dir/dockerd.pid"
  kill -TERM "$pid" || die "cannot signal dockerd (pid $pid)"
  for ((waited = 0; waited < TIMEOUT * 5; waited++)); do
    if ! alive "$dir"; then
      rm -f -- "$dir/dockerd.pid"
      if [ -z "${CONTAINER_ENGINE_DIR:-}" ]; then
        rm -f -- "$dir/dockerd.log" "$dir/dockerd.own.pid"
        rmdir -- "$dir" || true
      fi
      say "stopped pid $pid"
      return 0
    fi
    sleep 0.2
  done
  die "dockerd (pid $pid) still there $TIMEOUT s after SIGTERM"
}

case ${1:-} in
start) cmd_start ;;
base) cmd_base ;;
status) cmd_status ;;
stop) cmd_stop ;;
-h | --help | help) usage ;;
*)
  usage >&2
  exit 2
  ;;
esac
