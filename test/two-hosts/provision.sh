#!/usr/bin/env bash
# Installs what two hosts in network namespaces need: sshd, sudo, ip and tc, tshark. Nothing to do when they are there.
set -euo pipefail

readonly PACKAGES=(openssh-server openssh-client sudo iproute2 tshark)

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

die() {
  printf 'two-hosts: error: %s\n' "$@" >&2
  exit 1
}

main() {
  local -a missing=()
  local package policy=/usr/sbin/policy-rc.d made_policy=
  for package in "${PACKAGES[@]}"; do
    installed "$package" || missing+=("$package")
  done
  ((${#missing[@]} > 0)) || return 0
  command -v apt-get >/dev/null || die "no apt-get here; install by hand: ${missing[*]}"
  [[ $(id -u) == 0 ]] || die "not root, and these packages are missing: ${missing[*]}"
  log=$(mktemp -t ferry-two-hosts-apt.XXXXXX.log)
  printf 'two-hosts: installing %s\n' "${missing[*]}" >&2
  # The programs are wanted, not their services: nothing may start to listen on this machine.
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=yes
  fi
  local status=0
  {
    DEBIAN_FRONTEND=noninteractive apt-get -q update || true
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
  } >"$log" 2>&1 || status=$?
  [[ -z $made_policy ]] || rm -f "$policy"
  ((status == 0)) || die "apt could not install ${missing[*]}" "its own words are in $log"
  rm -f "$log"
}

main "$@"
