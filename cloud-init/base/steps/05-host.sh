#!/bin/bash
# Kernel settings and the journal's place.
set -euo pipefail
/usr/lib/systemd/systemd-sysctl --prefix=/net /etc/sysctl.d/60-ha.conf
if [ ! -d /var/log/journal ]; then
  mkdir -p /var/log/journal
  systemd-tmpfiles --create --prefix /var/log/journal
  systemctl restart systemd-journald
  journalctl --flush
fi
