/**
 * What a host is asked beside its helper: one POSIX shell script that reads and changes nothing. It says a line a fact,
 * `ferry-doctor TAB key TAB value`; facts.ts reads them.
 *
 * Arguments: the state folder, or nothing where it is not known; then the network interface data is to arrive at, or
 * nothing.
 */

/** Options of the kernel that matter, without CONFIG_; and the module that brings what is not built in. */
export const KERNEL_OPTIONS = [
  'VFIO',
  'VFIO_PCI',
  'VFIO_IOMMU_TYPE1',
  'VFIO_GROUP',
  'VFIO_CONTAINER',
  'VFIO_DEVICE_CDEV',
  'VFIO_MDEV',
  'IOMMUFD',
  'IOMMUFD_VFIO_CONTAINER',
] as const
export type KernelOption = (typeof KERNEL_OPTIONS)[number]

/** Modules by the name `modprobe` takes; sysfs has them with underscores. */
export const MODULES = ['vfio', 'vfio-pci', 'vfio_iommu_type1', 'iommufd', 'mdev'] as const
export type Module = (typeof MODULES)[number]

export const SCRIPT = `
set -u
LC_ALL=C; export LC_ALL
say() { printf 'ferry-doctor\\t%s\\t%s\\n' "$1" "$2"; }
say begin 1
say uid "$(id -u)"
say user "$(id -un 2>/dev/null || id -u)"
say hostname "$(uname -n)"
say system "$(uname -s)"
say machine "$(uname -m)"
kernel=$(uname -r)
say kernel "$kernel"
say caps "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status 2>/dev/null)"

config= read='cat'
for file in /proc/config.gz "/boot/config-$kernel" "/lib/modules/$kernel/config" "/usr/lib/modules/$kernel/config"; do
  if [ -r "$file" ]; then config=$file; break; fi
done
case $config in *.gz) read='gzip -dc' ;; esac
say config-file "$config"
if [ -n "$config" ]; then
  $read "$config" 2>/dev/null | grep -E '^CONFIG_(${KERNEL_OPTIONS.join('|')})=[ym]$' | while read -r line; do
    say option "\${line#CONFIG_}"
  done
fi
for module in ${MODULES.join(' ')}; do
  name=$(printf '%s' "$module" | tr - _)
  pattern=$(printf '%s' "$module" | sed 's/[-_]/[-_]/g')
  if [ -d "/sys/module/$name" ]; then say module "$module loaded"
  elif grep -Eq "/$pattern\\.ko" "/lib/modules/$kernel/modules.builtin" 2>/dev/null; then say module "$module builtin"
  elif grep -Eq "/$pattern\\.ko[.a-z0-9]*:" "/lib/modules/$kernel/modules.dep" 2>/dev/null; then say module "$module loadable"
  else say module "$module absent"
  fi
done

node() {
  if [ ! -e "$2" ]; then say "$1" absent
  elif [ -r "$2" ] && [ -w "$2" ]; then say "$1" usable
  else say "$1" "closed $(ls -ld "$2" 2>/dev/null | { read -r mode _ owner group _; printf '%s %s:%s' "$mode" "$owner" "$group"; })"
  fi
}
node vfio-container /dev/vfio/vfio
node iommufd-node /dev/iommu
entries() { set -- "$1"/*; if [ -e "$1" ] || [ -L "$1" ]; then echo $#; else echo 0; fi; }
say vfio-groups "$(set -- /dev/vfio/[0-9]*; if [ -e "$1" ]; then echo $#; else echo 0; fi)"
say vfio-cdevs "$(entries /dev/vfio/devices)"
say vfio-devices "$(entries /sys/class/vfio-dev)"
say iommus "$(entries /sys/class/iommu)"
say iommu-groups "$(entries /sys/kernel/iommu_groups)"
say mdevs "$(entries /sys/bus/mdev/devices)"

say memlock "$(ulimit -l)"
while read -r key value _; do
  case $key in MemTotal:|MemAvailable:) say "\${key%:}" "$value" ;; esac
done </proc/meminfo
for pool in /sys/kernel/mm/hugepages/hugepages-*; do
  [ -d "$pool" ] || continue
  size=\${pool##*/hugepages-}
  say huge-pages "\${size%kB} $(cat "$pool/free_hugepages" 2>/dev/null || echo 0) $(cat "$pool/nr_hugepages" 2>/dev/null || echo 0)"
done

state=\${1:-}
if [ -n "$state" ]; then
  above=$state
  while [ ! -e "$above" ] && [ "$above" != / ]; do above=$(dirname "$above"); done
  say state-above "$above"
  if [ -d "$above" ] && [ -w "$above" ] && [ -x "$above" ]; then say state-use writable; else say state-use closed; fi
  say state-mode "$(ls -ldn "$above" 2>/dev/null | { read -r mode _ owner _; printf '%s %s' "$mode" "$owner"; })"
  say state-free "$(df -Pk "$above" 2>/dev/null | { read -r _; read -r _ _ _ free _; printf '%s' "$free"; })"
fi
interface=\${2:-}
if [ -n "$interface" ]; then
  if [ -d "/sys/class/net/$interface" ]; then say interface "$(cat "/sys/class/net/$interface/operstate" 2>/dev/null)"
  else say interface absent
  fi
fi
say end 1
`
