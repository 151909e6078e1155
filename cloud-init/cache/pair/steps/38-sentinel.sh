#!/bin/bash
# Before Redis, which asks the sentinels what it is to be.
set -euo pipefail
/usr/local/lib/ha/sentinel
