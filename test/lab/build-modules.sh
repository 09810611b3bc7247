#!/usr/bin/env bash
# Builds the lab's own kernel modules (modules/) against the lab's kernel, once for each state of their sources.
# Prints the folder that holds the .ko files on stdout. Nothing is written beside the sources.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly SOURCES=$here/modules

die() {
  printf 'lab: error: %s\n' "$1" >&2
  shift
  local line
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

# shellcheck disable=SC2317  # the trap calls it
cleanup() { rm -rf "$work"; }

main() {
  local kernel key final log name
  kernel=$("$here/build-kernel.sh")
  key=$(cd "$SOURCES" && sha256sum Kbuild ./*.[ch] | sha256sum | cut -c1-16)
  final=$kernel/modules-$key
  if [[ ! -d $final ]]; then
    log=$kernel/modules-$key.log
    work=$(mktemp -d "$kernel/.modules-$key.XXXXXX")
    trap cleanup EXIT
    cp "$SOURCES"/Kbuild "$SOURCES"/*.[ch] "$work/"
    printf 'lab: modules: compiling against %s\n' "${kernel##*/}" >&2
    # A warning is a failure: what the compiler doubts may well hang the guest.
    if ! make -C "$kernel/tree" "M=$work" "-j$(nproc)" KCFLAGS=-Werror modules >"$log" 2>&1; then
      grep -m 10 -E 'error:|Error [0-9]|undefined!' "$log" >&2 || true
      die 'the modules did not build' "full log: $log"
    fi
    mkdir "$work/out"
    for name in "$work"/*.ko; do mv "$name" "$work/out/"; done
    chmod 755 "$work/out"
    # Another build of the same sources may have been quicker; both are whole.
    mv -T "$work/out" "$final" 2>/dev/null || [[ -d $final ]]
    rm -f "$log"
  fi
  printf '%s\n' "$final"
}

# One line, so that an edit of this file while it runs cannot change what it does next.
main "$@"; exit
