#!/bin/bash
# Runs on the standby: asks the failover monitor to promote it and waits until it commits. Prints the duration in
# milliseconds.
set -euo pipefail
deadline_ms=60000
export PGCONNECT_TIMEOUT=5
ask() { ha-postgres psql -XqAtw -v ON_ERROR_STOP=1 "$@"; }
sql() { ask -d postgres -c "$1"; }
# One session polls, because both hosts have little processor time to spare meanwhile. Its last line is the answer: \watch ends
# with an empty line, wherever its output goes.
await_open() {
  local closed="pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool"
  ask -d postgres <<SQL | tail -n 1
\o /dev/null
select 1 where $closed
\watch i=0.05 c=$((deadline_ms / 50)) m=1
\o
select $closed;
SQL
}
passed_ms() { echo $(((${EPOCHREALTIME/./} - began) / 1000)); }

# Less to write while requests wait.
sql checkpoint
monitor=$(ha-postgres pg_autoctl config get pg_autoctl.monitor)
# There may have been another failover meanwhile: the request names no host, and would switch back.
if [ "$(sql 'select pg_is_in_recovery()')" != t ]; then
  echo "this host is no longer the standby" >&2
  exit 1
fi
began=${EPOCHREALTIME/./}
ask "$monitor" -c "select pgautofailover.perform_failover('default', 0)" >/dev/null
until [ "$(await_open 2>/dev/null)" = f ]; do
  if (($(passed_ms) > deadline_ms)); then
    echo "this host does not accept writes after $((deadline_ms / 1000)) s" >&2
    exit 1
  fi
  sleep 0.1
done
# A commit that is in the WAL and in no table.
sql "select pg_logical_emit_message(true, 'ha', 'switchover')" >/dev/null
passed_ms
