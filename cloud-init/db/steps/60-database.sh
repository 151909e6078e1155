#!/bin/bash
# Roles, databases and metrics.
set -euo pipefail
rm -f /run/ha/database
ha-database
systemctl start ha-database.timer ha-canary.timer
ha-service prometheus-postgres-exporter
ha-service ha-stalled-disk
ha-service ha-stalled-keeper
ha-service ha-stalled-standby
