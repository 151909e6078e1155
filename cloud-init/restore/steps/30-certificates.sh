#!/bin/bash
# No certificate: nobody connects to this host, and it connects to AWS only.
set -euo pipefail
