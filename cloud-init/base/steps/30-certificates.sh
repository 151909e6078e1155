#!/bin/bash
# This host's certificate. The load balancer has another kind, and a step of its own.
set -euo pipefail
[ "$HA_TIER" = lb ] || ha-certificate
systemctl start ha-certificate.timer
