#!/bin/sh
# The container engine behind `make demo`, `make test` and `make molecule`.
#   engine.sh up      make `docker info` work: install, start, wait
#   engine.sh down    stop the engine if this checkout started it and no container runs
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
state=$root/.ansible/engine
packages='docker.io mmdebstrap debian-archive-keyring iptables'

say() { printf '%s\n' "engine: $*"; }
fail() { printf '%s\n' "engine: $*" >&2; exit 1; }
works() { docker info >/dev/null 2>&1; }
systemd() { [ -d /run/systemd/system ]; }
ours() { [ -s "$state/started" ]; }
# The engine that start_by_hand started; of systemd's nothing is known until it answers.
alive() { read -r pid _ <"$state/started" && { [ "$pid" = systemd ] || kill -0 "$pid" 2>/dev/null; }; }

install_packages() {
  [ "$(id -u)" -eq 0 ] && [ -x /usr/bin/apt-get ] ||
    fail "no container engine answers, and only root on Debian or Ubuntu can be helped from here." \
         "Install and start Docker ($packages on Debian), let this user reach it, and try again."
  wanted=
  for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || wanted="$wanted $package"
  done
  [ -n "$wanted" ] || return 0
  say "installing$wanted"
  # Without systemd the package's init script would start a dockerd that knows no MTU and that nobody stops.
  policy=
  if ! systemd && [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
  mkdir -p "$state"
  # shellcheck disable=SC2086 # one word a package
  { apt-get update && apt-get install --yes --no-install-recommends $wanted; } >"$state/apt.log" 2>&1 || {
    tail -n 20 "$state/apt.log" >&2
    fail "the packages could not be installed (all of it: $state/apt.log)"
  }
  [ -z "$policy" ] || { rm -f "$policy"; trap - EXIT; }
}

start_by_hand() {
  command -v dockerd >/dev/null || fail "dockerd is not installed"
  # A bridge with a larger MTU than the way out loses every full packet: downloads hang in containers.
  interface=$(ip -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
  mtu=$(cat "/sys/class/net/${interface:-lo}/mtu")
  [ "$mtu" -lt 1500 ] || mtu=1500
  bridge=kept
  [ -d /sys/class/net/docker0 ] || bridge=new
  setsid dockerd --mtu "$mtu" </dev/null >"$state/dockerd.log" 2>&1 &
  printf '%s %s\n' "$!" "$bridge" >"$state/started"
}

up() {
  works && return 0
  install_packages
  mkdir -p "$state"
  if ! works; then
    rm -f "$state/started"
    say "starting"
    if systemd; then
      systemctl start docker
      printf 'systemd -\n' >"$state/started"
    else
      start_by_hand
    fi
  fi
  left=60
  until works; do
    left=$((left - 1))
    # Ours may have died because another checkout's was faster, and that one may need a moment more.
    if [ "$left" -eq 0 ] || { [ "$left" -lt 50 ] && ! alive; }; then
      tail -n 20 "$state/dockerd.log" >&2 || :
      rm -f "$state/started"
      fail "does not start (log: $state/dockerd.log)"
    fi
    sleep 1
  done
  say "ready"
}

down() {
  ours || return 0
  if works && [ -n "$(docker ps --quiet)" ]; then
    say "left running: containers use it"
    return 0
  fi
  read -r pid bridge <"$state/started"
  rm -f "$state/started"
  if [ "$pid" = systemd ]; then
    systemctl stop docker.socket docker
  elif [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
    [ "$bridge" = kept ] || ip link delete docker0 2>/dev/null || :
  fi
  say "stopped"
}

case ${1:-} in
  up) up ;;
  down) down ;;
  *) fail "usage: engine.sh up | down" ;;
esac
