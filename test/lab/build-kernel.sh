#!/usr/bin/env bash
# Builds the lab's kernel once and keeps it. Prints the folder that holds it on stdout:
#
#   bzImage  mdev.ko  mtty.ko  config     what the guest boots and loads
#   tree/                                 a prepared tree: make -C tree M=$PWD modules
#
# The folder is named by a hash of kernel.config and the source's version, and comes into being by one
# rename, so if it exists it is whole.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly TARBALL=${FERRY_LAB_KERNEL_TARBALL:-/usr/src/linux-source-6.12.tar.xz}
readonly CACHE=${FERRY_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ferry/lab}
readonly FRAGMENT=$here/kernel.config
# Raise when what the cached folder holds changes.
readonly LAYOUT=1

say() { printf 'lab: %s\n' "$*" >&2; }

die() {
  printf 'lab: error: %s\n' "$1" >&2
  shift
  local line
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

source_version() {
  dpkg-query -W -f '${Version}' linux-source-6.12 2>/dev/null || sha256sum <"$TARBALL"
}

wanted() { grep -E '^CONFIG_[A-Z0-9_]+=' "$FRAGMENT"; }

configure() {
  make -s -C "$1" tinyconfig
  (cd "$1" && ./scripts/kconfig/merge_config.sh -m -Q .config "$FRAGMENT")
  make -s -C "$1" olddefconfig
}

check_config() {
  local -a lost=()
  local line
  while IFS= read -r line; do
    grep -qxF -- "$line" "$1/.config" || lost+=("$line")
  done < <(wanted)
  ((${#lost[@]} == 0)) || die "the kernel's configuration lost ${#lost[@]} of the wanted symbols:" "${lost[@]}" \
    "Each lacks something it depends on; add that to ${FRAGMENT}."
}

# Runs make in the background, so that an interrupt is heard at once and progress can be told.
compile() {
  local seconds=0 status=0
  make -C "$1" "-j$(nproc)" KBUILD_BUILD_USER=ferry KBUILD_BUILD_HOST=lab bzImage modules >>"$log" 2>&1 &
  make_pid=$!
  while kill -0 "$make_pid" 2>/dev/null; do
    sleep 1
    seconds=$((seconds + 1))
    if ((seconds % 60 == 0)); then
      say "kernel: $(grep -c '^  \(CC\|AS\|AR\|LD\) ' "$log" || true) steps done after $((seconds / 60)) min (all: about 2050)"
    fi
  done
  wait "$make_pid" || status=$?
  make_pid=
  if ((status != 0)); then
    grep -n -m 5 -E 'error:|Error [0-9]|\*\*\*' "$log" >&2 || true
    die 'the kernel did not build' "full log: $log"
  fi
}

# Leaves what building a module needs: headers, scripts, objtool, Module.symvers, and the sources of the
# folders a VFIO driver looks into. A full tree is 2 GiB, this is a tenth of it.
trim() {
  local tree=$1 dir
  for dir in "$tree"/arch/*/; do [[ $dir == */x86/ ]] || rm -rf "$dir"; done
  rm -rf "$tree"/{Documentation,LICENSES,sound,crypto,fs,net,mm,block,security,rust,certs,init,ipc,io_uring}
  rm -rf "${tree:?}"/{usr,lib,virt}
  find "$tree/drivers" -mindepth 1 -maxdepth 1 ! -name vfio ! -name iommu -exec rm -rf {} +
  find "$tree/tools" -mindepth 1 -maxdepth 1 ! -name objtool ! -name include ! -name build -exec rm -rf {} +
  find "$tree/samples" -mindepth 1 -maxdepth 1 ! -name vfio-mdev -exec rm -rf {} +
  find "$tree" -type f \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' -o -name 'vmlinux*' \) \
    ! -path '*/scripts/*' ! -name 'vmlinux*.h' ! -name '*.lds*' -delete
  find "$tree/kernel" -type f -name '*.c' -delete
}

build() {
  local work=$1 tree=$1/tree
  say "kernel: unpacking ${TARBALL##*/}"
  mkdir "$tree" "$work/out"
  tar -xf "$TARBALL" -C "$tree" --strip-components=1
  configure "$tree" >>"$log" 2>&1 || die 'the kernel could not be configured' "full log: $log"
  check_config "$tree"
  say "kernel: compiling with $(nproc) jobs; a few minutes, once (log: $log)"
  compile "$tree"

  cp "$tree/arch/x86/boot/bzImage" "$tree/drivers/vfio/mdev/mdev.ko" "$tree/samples/vfio-mdev/mtty.ko" "$work/out/"
  cp "$tree/.config" "$work/out/config"
  source_version >"$work/out/source-version"
  trim "$tree"
  mv "$tree" "$work/out/tree"
}

# shellcheck disable=SC2317  # the trap calls it
cleanup() {
  if [[ -n ${make_pid:-} ]]; then
    kill "$make_pid" 2>/dev/null || true
    wait "$make_pid" 2>/dev/null || true
  fi
  if [[ -n ${work:-} ]]; then rm -rf "$work"; fi
}

main() {
  [[ -r $TARBALL ]] || die "no kernel source at $TARBALL" 'Run test/lab/provision.sh first.'
  local key final
  key=$({ cat "$FRAGMENT"; source_version; echo "$LAYOUT"; } | sha256sum | cut -c1-16)
  final=$CACHE/kernel-$key
  if [[ ! -d $final ]]; then
    mkdir -p "$CACHE"
    exec 9>"$CACHE/kernel-$key.lock"
    if ! flock -n 9; then
      say 'kernel: another build of the same kernel is running; waiting for it'
      flock 9
    fi
  fi
  if [[ ! -d $final ]]; then
    # The lock is ours, so a work folder of this key was left by a build that was killed.
    rm -rf "$CACHE/.work-$key."*
    log=$CACHE/kernel-$key.log
    : >"$log"
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    work=$(mktemp -d "$CACHE/.work-$key.XXXXXX")
    local start=$SECONDS
    build "$work"
    chmod 755 "$work/out"
    sync -f "$work/out"
    mv -T "$work/out" "$final"
    rm -f "$log"
    say "kernel: built in $((SECONDS - start)) s: $final"
  fi
  printf '%s\n' "$final"
}

# One line, so that an edit of this file while it runs cannot change what it does next.
main "$@"; exit
