#!/bin/bash
# The third sentinel: with it, either cache may be lost and two still agree.
set -euo pipefail
/usr/local/lib/ha/sentinel
