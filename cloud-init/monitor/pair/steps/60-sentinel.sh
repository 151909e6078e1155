#!/bin/bash
# The third sentinel: with it, two sentinels still agree when either cache fails.
set -euo pipefail
/usr/local/lib/ha/sentinel
