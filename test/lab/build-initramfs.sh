#!/usr/bin/env bash
# Writes the guest's initramfs, busybox and one script, to the file named by the argument.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: build-initramfs.sh FILE}
busybox=$(command -v busybox) || {
  echo 'lab: error: busybox not found; run test/lab/provision.sh first' >&2
  exit 1
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/dev"
cp "$busybox" "$root/bin/busybox"
install -m 755 "$here/initramfs-init.sh" "$root/init"
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$root.cpio"
mv "$root.cpio" "$out"
