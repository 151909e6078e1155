#!/bin/bash
# Host metrics and time.
set -euo pipefail
systemctl daemon-reload
ha-service restart prometheus-node-exporter
ha-service restart systemd-timesyncd /etc/systemd/timesyncd.conf.d/ha.conf
