#!/bin/bash
# Host metrics and time.
set -euo pipefail
systemctl daemon-reload
systemctl restart prometheus-node-exporter systemd-timesyncd
