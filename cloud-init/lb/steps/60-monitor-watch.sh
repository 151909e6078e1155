#!/bin/bash
# Who watches the monitor.
set -euo pipefail
systemctl restart ha-monitor-watch
