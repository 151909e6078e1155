#!/bin/bash
# Watch the monitor.
set -euo pipefail
ha-service ha-monitor-watch
