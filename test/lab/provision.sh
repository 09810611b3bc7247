#!/usr/bin/env bash
# Installs what the lab needs from Debian's own archive: QEMU >= 10, the kernel source, the build tools.
# Quick, and needs no network and no root, when everything is there already.
set -euo pipefail

readonly KERNEL_TARBALL=${FERRY_LAB_KERNEL_TARBALL:-/usr/src/linux-source-6.12.tar.xz}
readonly MIN_QEMU=10
readonly LIST=/etc/apt/sources.list.d/ferry-lab-backports.list

# Backported on Debian 12, plain on Debian 13.
readonly NEW_PACKAGES=(qemu-system-x86 seabios linux-source-6.12)
readonly MAIN_PACKAGES=(
  busybox-static cpio gcc libc6-dev make flex bison bc libelf-dev libssl-dev
  xz-utils zstd kmod util-linux
)

say() { printf 'lab: %s\n' "$*" >&2; }

die() {
  printf 'lab: error: %s\n' "$1" >&2
  shift
  local line
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

qemu_major() {
  local version
  version=$(qemu-system-x86_64 --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\)\..*/\1/p') || true
  printf '%s' "${version:-0}"
}

# Sets `missing` to the packages still wanted.
find_missing() {
  missing=()
  (($(qemu_major) >= MIN_QEMU)) || missing+=(qemu-system-x86 seabios)
  [[ -r $KERNEL_TARBALL ]] || missing+=(linux-source-6.12)
  local package
  for package in "${MAIN_PACKAGES[@]}"; do
    installed "$package" || missing+=("$package")
  done
}

# Prints `URI<TAB>SUITE<TAB>SIGNED-BY` for every binary entry of apt's sources, in both of its formats.
apt_entries() {
  local root=${FERRY_LAB_APT_DIR:-/etc/apt} file
  for file in "$root"/sources.list "$root"/sources.list.d/*.list; do
    [[ -r $file ]] || continue
    awk '$1 == "deb" {
      signed = ""; at = 2
      if ($2 ~ /^\[/) {
        while (at <= NF) {
          option = $at; gsub(/[][]/, "", option)
          if (option ~ /^signed-by=/) signed = substr(option, 11)
          if ($at ~ /\]$/) { at++; break }
          at++
        }
      }
      print $at "\t" $(at + 1) "\t" signed
    }' "$file"
  done
  for file in "$root"/sources.list.d/*.sources; do
    [[ -r $file ]] || continue
    awk '
      function flush(   i, j, n, m, us, ss) {
        if (types ~ /(^| )deb( |$)/ && tolower(enabled) != "no") {
          n = split(uris, us, " "); m = split(suites, ss, " ")
          for (i = 1; i <= n; i++) for (j = 1; j <= m; j++) print us[i] "\t" ss[j] "\t" signed
        }
        types = uris = suites = signed = enabled = ""
      }
      /^#/ { next }
      /^[ \t]*$/ { flush(); next }
      {
        name = tolower($0); sub(/:.*/, "", name)
        value = $0; sub(/^[^:]*:[ \t]*/, "", value)
        if (name == "types") types = value
        else if (name == "uris") uris = value
        else if (name == "suites") suites = value
        else if (name == "signed-by") signed = value
        else if (name == "enabled") enabled = value
      }
      END { flush() }' "$file"
  done
}

# shellcheck source=/dev/null
codename() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}"); }

# Does apt's index hold kernel source 6.12 and a QEMU that is new enough?
candidates_ready() {
  local policy
  apt-cache show linux-source-6.12 >/dev/null 2>&1 || return 1
  policy=$(apt-cache madison qemu-system-x86 2>/dev/null) || return 1
  awk -F'|' -v min="$MIN_QEMU" '{
    v = $2; gsub(/ /, "", v); sub(/^[0-9]+:/, "", v); split(v, p, ".")
    if (p[1] + 0 >= min) ok = 1
  } END { exit !ok }' <<<"$policy"
}

apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1; }

# The archive the machine's own release comes from, as written in apt's sources; then, if that is a dated
# snapshot (those often lack the backports suite), the plain archive beside it.
add_backports() {
  local release entry uri signed
  local -a uris=()
  release=$(codename)
  [[ -n $release ]] || die 'cannot tell which Debian release this is (/etc/os-release)' 'Run the lab on Debian 12 or 13.'
  entry=$(apt_entries | awk -F'\t' -v suite="$release" '$2 == suite' | head -n 1)
  [[ -n $entry ]] || die "no apt source for suite $release found" "Add Debian's main archive to apt's sources."
  IFS=$'\t' read -r uri _ signed <<<"$entry"
  uris=("$uri")
  if [[ $uri =~ ^(.*)/archive/([^/]+)/[0-9]{8}T[0-9]{6}Z/?$ ]]; then
    uris+=("${BASH_REMATCH[1]}/${BASH_REMATCH[2]}")
  fi
  for uri in "${uris[@]}"; do
    say "adding suite $release-backports from the archive this machine uses"
    printf 'deb %s%s %s-backports main\n' "${signed:+[signed-by=$signed] }" "$uri" "$release" >"$LIST"
    if apt update && candidates_ready; then return 0; fi
    rm -f "$LIST"
  done
  die "suite $release-backports could not be read from this machine's archive" \
    "apt's own words are in $log" \
    'Check the network, or add the backports suite to apt by hand, then run this again.'
}

main() {
  local -a missing
  find_missing
  if ((${#missing[@]} == 0)); then
    say "all parts are installed (QEMU $(qemu_major), ${KERNEL_TARBALL##*/})"
    return 0
  fi
  say "missing: ${missing[*]}"

  command -v apt-get >/dev/null || die "this system has no apt-get; missing: ${missing[*]}" \
    'Install their like by hand (QEMU 10 or newer, Linux 6.12 source), or use Debian 12 or 13.'
  [[ $(id -u) == 0 ]] || die "not root, and these packages are missing: ${missing[*]}" \
    'Run test/lab/provision.sh once as root, then run the lab again as yourself.'

  log=$(mktemp -t ferry-lab-apt.XXXXXX.log)
  apt update || say "apt-get update reported errors (see $log); going on with what it has"

  local -a pin=()
  local package need_new=no
  for package in "${missing[@]}"; do
    [[ " ${NEW_PACKAGES[*]} " == *" $package "* ]] && need_new=yes
  done
  if [[ $need_new == yes ]] && ! candidates_ready; then add_backports; fi
  if [[ $need_new == yes && -n $(apt-cache madison linux-source-6.12 | grep -- -backports || true) ]]; then
    pin=(-t "$(codename)-backports")
  fi

  local -a plain=() fresh=()
  for package in "${missing[@]}"; do
    if [[ " ${NEW_PACKAGES[*]} " == *" $package "* ]]; then fresh+=("$package"); else plain+=("$package"); fi
  done
  say 'installing (a few minutes on a slow line)'
  if ((${#plain[@]})) && ! apt install -y --no-install-recommends "${plain[@]}"; then
    die "apt could not install: ${plain[*]}" "apt's own words are in $log"
  fi
  if ((${#fresh[@]})) && ! apt install -y --no-install-recommends "${pin[@]}" "${fresh[@]}"; then
    die "apt could not install: ${fresh[*]}" "apt's own words are in $log"
  fi

  find_missing
  ((${#missing[@]} == 0)) || die "installed, but still missing: ${missing[*]}" "apt's own words are in $log"
  rm -f "$log"
  say 'all parts are installed'
}

# One line, so that an edit of this file while it runs cannot change what it does next.
main "$@"; exit
