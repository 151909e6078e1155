#!/bin/bash
# Host metrics and time.
set -euo pipefail
systemctl daemon-reload
ha-service prometheus-node-exporter
ha-service systemd-timesyncd
