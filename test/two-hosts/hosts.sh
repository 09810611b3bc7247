#!/usr/bin/env bash
# Two hosts and a control host on one machine: three network namespaces with veth pairs between them, an sshd in each
# of the two. The same script serves the tests on this machine and those in the lab's guest.
#
#   hosts.sh up   NAME DIR    makes them; writes DIR/ssh (a program that takes ssh's arguments) and DIR/keys
#   hosts.sh down NAME DIR    ends every process in them, and removes them
#
#   control  NAME-c   10.77.1.1 - 10.77.1.2  NAME-a        ssh only
#                     10.77.2.1 - 10.77.2.2  NAME-b        ssh only
#            NAME-a   10.77.3.1 - 10.77.3.2  NAME-b        data, fd77::1 - fd77::2 where the kernel has IPv6
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

readonly command=$1 name=$2 dir=$3

in_ns() { ip netns exec "$name-$1" "${@:2}"; }

# pair NS1 IF1 ADDRESS1 NS2 IF2 ADDRESS2
pair() {
  ip link add "$2" netns "$name-$1" type veth peer name "$5" netns "$name-$4"
  ip -n "$name-$1" address add "$3/24" dev "$2"
  ip -n "$name-$4" address add "$6/24" dev "$5"
  ip -n "$name-$1" link set "$2" up
  ip -n "$name-$4" link set "$5" up
}

# An account that may become root by sudo, and one that may not; both are on that host alone.
accounts() {
  local home=$dir/$1 user uid=4242
  [[ -e /etc/sudoers ]] || return 0
  cp /etc/passwd "$home/passwd"
  for user in ops guest; do
    mkdir "$home/$user"
    chown "$uid:$uid" "$home/$user"
    printf '%s:*:%d:%d::%s:/bin/sh\n' "$user" "$uid" "$uid" "$home/$user" >>"$home/passwd"
    uid=$((uid + 1))
  done
  printf 'root ALL=(ALL:ALL) ALL\nops ALL=(root) NOPASSWD: ALL\n' >"$home/sudoers"
  chmod 644 "$home/passwd"
  chmod 440 "$home/sudoers"
}

# serve SIDE ADDRESS
serve() {
  local side=$1 home=$dir/$1
  mkdir -p "$home" /run/sshd
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$home/host_key"
  cat >"$home/sshd_config" <<CONFIG
ListenAddress $2:22
ListenAddress $2:2222
HostKey $home/host_key
PidFile $home/sshd.pid
AuthorizedKeysFile $dir/keys/id.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxSessions 30
MaxStartups 50
Match User root
  SetEnv XDG_CACHE_HOME=$home/cache
CONFIG
  accounts "$side"
  # Mounted in that command's own mount namespace, which sshd and what it starts share.
  in_ns "$side" sh -c 'for file in passwd sudoers; do
      if [ -e "$1/$file" ]; then mount --bind "$1/$file" "/etc/$file" || exit 1; fi
    done; exec /usr/sbin/sshd -f "$1/sshd_config" -E "$1/sshd.log"' sh "$home"
  printf 'node-%s,%s,[%s]:2222 %s\n' "$side" "$2" "$2" "$(<"$home/host_key.pub")" >>"$dir/known_hosts"
}

up() {
  mkdir -p "$dir/keys"
  chmod 755 "$dir" "$dir/keys"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$dir/keys/id"
  local side
  for side in a b c; do
    ip netns add "$name-$side"
    ip -n "$name-$side" link set lo up
  done
  pair c toa 10.77.1.1 a ctl 10.77.1.2
  pair c tob 10.77.2.1 b ctl 10.77.2.2
  pair a data 10.77.3.1 b data 10.77.3.2
  ip -n "$name-a" address add fd77::1/64 dev data nodad 2>/dev/null || true
  ip -n "$name-b" address add fd77::2/64 dev data nodad 2>/dev/null || true
  serve a 10.77.1.2
  serve b 10.77.2.2
  cat >"$dir/ssh_config" <<CONFIG
Host node-a
  HostName 10.77.1.2
Host node-b
  HostName 10.77.2.2
Host *
  User root
  IdentityFile $dir/keys/id
  IdentitiesOnly yes
  UserKnownHostsFile $dir/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  # Emulated processors take seconds for the default.
  KexAlgorithms curve25519-sha256
CONFIG
  printf '#!/bin/sh\nexec /usr/bin/ssh -F "%s" "$@"\n' "$dir/ssh_config" >"$dir/ssh"
  chmod 755 "$dir/ssh"
}

down() {
  local side pids
  for side in a b c; do
    # Everything in these namespaces was started for them.
    pids=$(ip netns pids "$name-$side" 2>/dev/null) || continue
    # shellcheck disable=SC2086  # a list of numbers
    [[ -z $pids ]] || kill -KILL $pids 2>/dev/null || true
    ip netns del "$name-$side" 2>/dev/null || true
  done
}

case $command in
  up) up ;;
  down) down ;;
  *) exit 2 ;;
esac
