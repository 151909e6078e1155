#!/bin/bash
# Session Manager's agent, beside the other steps: who wants to see why one of them fails needs it.
set -euo pipefail
systemctl start --no-block ha-ssm-agent
