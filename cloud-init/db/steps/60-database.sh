#!/bin/bash
# Roles, databases and metrics.
set -euo pipefail
rm -f /run/ha/database
ha-database
systemctl start ha-database.timer
systemctl restart prometheus-postgres-exporter
systemctl restart ha-stalled-disk ha-stalled-keeper ha-stalled-standby
