#!/bin/bash
# Watch whether this Redis still has the role that the sentinels say.
set -euo pipefail
ha-service ha-redis-role
