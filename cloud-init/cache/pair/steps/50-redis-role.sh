#!/bin/bash
# Looks on whether this Redis is still what the sentinels say.
set -euo pipefail
systemctl restart ha-redis-role
