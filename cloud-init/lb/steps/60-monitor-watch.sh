#!/bin/bash
# Watch the monitor.
set -euo pipefail
systemctl restart ha-monitor-watch
