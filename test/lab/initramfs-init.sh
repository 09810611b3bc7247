#!/bin/busybox sh
# shellcheck shell=dash
# The first process of the lab's guest, from a one-file initramfs. The guest's root is the host's own root,
# read-only over 9p, under a layer of memory: programs may write anywhere, and nothing reaches the host.
export PATH=/bin
busybox mkdir -p /proc /dev /sys /lower /layer /newroot
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
busybox mount -t sysfs sys /sys

fail() {
  echo "ferry-lab: $1" >/dev/console
  busybox poweroff -f
}

busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower ||
  fail 'cannot mount the host root over 9p'
busybox mount -t tmpfs -o mode=755 layer /layer
busybox mkdir /layer/upper /layer/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /newroot ||
  fail 'cannot put a writable layer over the host root'

init=
# shellcheck disable=SC2013  # words are what is wanted
for word in $(busybox cat /proc/cmdline); do
  case $word in ferry.init=*) init=${word#ferry.init=} ;; esac
done
[ -n "$init" ] || fail 'no ferry.init= on the kernel command line'
init=$(busybox printf '%b' "$(echo "$init" | busybox sed 's/%/\\x/g')")

busybox mkdir -p /newroot/proc /newroot/dev /newroot/sys
busybox mount --move /proc /newroot/proc
busybox mount --move /dev /newroot/dev
busybox mount --move /sys /newroot/sys
exec busybox switch_root /newroot /bin/bash "$init"
