#!/bin/bash
# Runs on the standby: has the failover monitor make it the primary and waits until it commits. Prints how many milliseconds
# that took.
set -euo pipefail
deadline_ms=60000
export PGCONNECT_TIMEOUT=5
sql() { ha-postgres psql -XqAtw -v ON_ERROR_STOP=1 -d postgres -c "$1"; }
passed_ms() { echo $(((${EPOCHREALTIME/./} - began) / 1000)); }

# What is on disk before need not be written there while everybody waits.
sql checkpoint
monitor=$(ha-postgres pg_autoctl config get pg_autoctl.monitor)
began=${EPOCHREALTIME/./}
ha-postgres psql -XqAtw -v ON_ERROR_STOP=1 "$monitor" -c "select pgautofailover.perform_failover('default', 0)" >/dev/null
until [ "$(sql "select pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool" 2>/dev/null)" = f ]; do
  if (($(passed_ms) > deadline_ms)); then
    echo "it may not write after $((deadline_ms / 1000)) s" >&2
    exit 1
  fi
  sleep 0.05
done
# A commit of its own, in the WAL and in no table.
sql "select pg_logical_emit_message(true, 'ha', 'switchover')" >/dev/null
passed_ms
