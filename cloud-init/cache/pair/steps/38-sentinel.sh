#!/bin/bash
# Before Redis, which asks the sentinels for its role.
set -euo pipefail
/usr/local/lib/ha/sentinel
