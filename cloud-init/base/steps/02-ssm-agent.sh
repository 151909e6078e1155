#!/bin/bash
# Install the Session Manager agent, in parallel with the other steps: an operator needs it to see why one of them fails,
# the packages above all.
set -euo pipefail
# Not while a change is applied: it came through the agent, which would not report the end of it. ha-bundle does it later.
[ -e /run/ha/once ] || systemctl start --no-block ha-ssm-agent
