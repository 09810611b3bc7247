#!/bin/bash
# The guest's second stage, still process 1: file systems, modules, then the agent. When the agent ends, or
# anything here fails, the guest powers off.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

finish() {
  local status=$?
  if ((status != 0)); then echo "ferry-lab: guest init failed (status $status)" >/dev/console; fi
  sync
  busybox poweroff -f
}
trap finish EXIT
exec </dev/null >/dev/console 2>&1

# Values on the kernel command line are percent-encoded, so that paths may hold anything.
parameter() {
  local word
  for word in $(</proc/cmdline); do
    if [[ $word == "ferry.$1="* ]]; then
      word=${word#*=}
      printf '%b' "${word//%/\\x}"
      return
    fi
  done
}

repo=$(parameter repo)
kernel=$(parameter kernel)
node=$(parameter node)
hugepages=$(parameter hugepages)

# A checkout under /tmp would vanish behind the guest's own /tmp: look at the root from a second place first,
# and bind what is needed back.
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/ferry-lab/bin /run/ferry-lab/root
mount --bind / /run/ferry-lab/root
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=1777 tmp /var/tmp
for path in "$repo" "$kernel" "$(dirname "$(dirname "$node")")"; do
  case $path in
    /tmp/* | /run/* | /var/tmp/*)
      mkdir -p "$path"
      mount --bind "/run/ferry-lab/root$path" "$path"
      ;;
  esac
done

mkdir -p /dev/pts /dev/shm /dev/hugepages /tmp/home /results
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none results /results

echo "${hugepages:-0}" >/proc/sys/vm/nr_hugepages
mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages

for pair in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
  [[ -e /dev/${pair%%:*} ]] || ln -s "/proc/self/${pair#*:}" "/dev/${pair%%:*}"
done

hostname ferry-lab
ip link set lo up

insmod "$kernel/mdev.ko"
insmod "$kernel/mtty.ko"

printf '#!/bin/sh\nexec "%s" "%s/dist/src/cli/cli.js" "$@"\n' "$node" "$repo" >/run/ferry-lab/bin/ferry
chmod +x /run/ferry-lab/bin/ferry

export HOME=/tmp/home TMPDIR=/tmp TERM=dumb LANG=C.UTF-8
node_bin=$(dirname "$node")
export PATH=/run/ferry-lab/bin:$node_bin:$PATH
cd "$repo"
# The agent ends itself by SIGKILL when its host has hung up; anything else is a failure.
"$node" "$repo/test/lab/agent.mjs" || [[ $? == 137 ]]
