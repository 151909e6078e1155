#!/bin/bash
# Roles, databases and metrics.
set -euo pipefail
rm -f /run/ha/database
ha-database
systemctl start ha-database.timer
ha-service restart prometheus-postgres-exporter
ha-service restart ha-stalled-disk
ha-service restart ha-stalled-keeper
ha-service restart ha-stalled-standby /usr/local/lib/ha/witness.py
