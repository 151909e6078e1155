#!/bin/bash
# Kernel settings, the journal's folder and size, time.
set -euo pipefail
/usr/lib/systemd/systemd-sysctl --prefix=/net /etc/sysctl.d/60-ha.conf
mkdir -p /var/log/journal
systemd-tmpfiles --create --prefix /var/log/journal
# At the first boot, journald and timesyncd started before their configuration was there.
ha-service systemd-journald
journalctl --flush
if systemctl -q is-active systemd-timesyncd; then ha-service systemd-timesyncd; fi
