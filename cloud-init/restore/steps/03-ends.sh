#!/bin/bash
# The end of this host, before anything that may fail: a host that nobody waits for any more costs money.
set -euo pipefail
systemctl daemon-reload
/usr/local/lib/ha/restore-ends
systemctl start ha-restore-ends.timer
