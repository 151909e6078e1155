#!/bin/bash
# Install the Session Manager agent, in parallel with the other steps: an operator needs it to see why one of them fails.
set -euo pipefail
systemctl start --no-block ha-ssm-agent
