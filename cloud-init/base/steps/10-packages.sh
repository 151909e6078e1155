#!/bin/bash
# Install the packages of this host's tier that are missing, without starting their services.
set -euo pipefail
mapfile -t wanted </usr/local/lib/ha/packages
present=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/ installed$//p' || true)
mapfile -t lacking < <(printf '%s\n' "${wanted[@]}" | grep -vxF -f <(printf '%s\n' "$present") || true)

if ((${#lacking[@]})); then
  echo "installing ${lacking[*]}"
  log=/run/ha/packages.log policy=/usr/sbin/policy-rc.d mark='# by ha-setup'
  if [ ! -e $policy ] || grep -qxF "$mark" $policy; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >$policy
    chmod 0755 $policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt() {
    apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o APT::Update::Error-Mode=any \
      -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" >>$log 2>&1
  }
  : >$log
  # The network or the NAT gateway may become available after this host; dpkg refuses while the agent is installed.
  until dpkg --configure -a >>$log 2>&1 && apt update && apt install -y --no-install-recommends "${lacking[@]}" </dev/null; do
    tail -n 2 $log
    ! grep -E '^E: (Unable to locate package|Package .* has no installation candidate)' $log || exit 1
    ((SECONDS < 540)) || { echo "not installed within $SECONDS s: ${lacking[*]}" >&2; exit 1; }
    : >$log
    sleep 5
  done
fi

# The steps start services, once their volume and configuration are available; a boot must not. Time is for all of it.
enabled=()
for unit in $(dpkg-query -L "${wanted[@]}" | sed -n 's|^\(/usr\)\?/lib/systemd/system/\([^/]*\.service\)$|\2|p' | grep -vE '^(systemd-timesyncd|e2scrub)'); do
  if compgen -G "/etc/systemd/system/*.wants/$unit" >/dev/null; then enabled+=("$unit"); fi
done
if ((${#enabled[@]})); then systemctl disable --quiet "${enabled[@]}" 2>&1; fi
