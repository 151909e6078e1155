#!/bin/bash
# What ha-restore needs, and after a reboot the database that it restored.
set -euo pipefail
home=/srv/data/postgresql
install -d -o postgres -g postgres -m 0700 $home
install -d -o postgres -g postgres -m 0750 /srv/data/pgbackrest /srv/data/pgbackrest/lock

memory=$(($(awk '/^MemTotal:/ {print $2}' /proc/meminfo) / 1024))
ha-place /etc/ha/restored/size.conf -m 0644 <<CONF
shared_buffers = '$((memory / 4))MB'
effective_cache_size = '$((memory * 5 / 8))MB'
maintenance_work_mem = '$((memory / 16))MB'
CONF
systemctl daemon-reload
if grep -qs '"phase": "running"' /srv/data/restore.json; then ha-service ha-restored; fi
