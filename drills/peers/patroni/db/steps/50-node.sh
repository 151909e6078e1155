#!/bin/bash
# Patroni and this host's member of etcd, started at every boot.
set -euo pipefail
replication=$(ha-secret db/replication-password)
config=$(</usr/local/lib/ha/patroni.yml)
install -d -o postgres -g postgres -m 0700 /srv/data/patroni
install -o postgres -m 0600 /dev/stdin /etc/patroni/config.yml <<<"${config//@replication@/$replication}"
# etcd is up only when most of its members are; Patroni waits for that.
systemctl start --no-block etcd
systemctl start patroni
echo 'waiting for PostgreSQL'
until ha-postgres psql -XqAt -d postgres -c 'select 1' >/dev/null 2>&1; do
  { [ $SECONDS -lt 240 ] && ! systemctl -q is-failed patroni; } || { journalctl -u patroni -n 20 -o cat >&2; exit 1; }
  sleep 0.5
done
