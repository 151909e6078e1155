#!/bin/bash
# Watch the monitor.
set -euo pipefail
ha-service restart ha-monitor-watch /usr/local/lib/ha/ha_host.py
