#!/bin/bash
# Kernel settings, the journal's folder and size, time.
set -euo pipefail
/usr/lib/systemd/systemd-sysctl --prefix=/net /etc/sysctl.d/60-ha.conf
# journald and timesyncd started before cloud-init wrote their configuration.
read_at=$(date -d "$(systemctl show -P ActiveEnterTimestamp systemd-journald)" +%s)
if ((read_at <= $(stat -c %Y /etc/systemd/journald.conf.d/ha.conf))); then
  mkdir -p /var/log/journal
  systemd-tmpfiles --create --prefix /var/log/journal
  systemctl restart systemd-journald
  journalctl --flush
  systemctl try-restart systemd-timesyncd
fi
