#!/bin/bash
# Watch whether this Redis still has the role that the sentinels say.
set -euo pipefail
ha-service restart ha-redis-role /usr/local/lib/ha/ha_host.py
