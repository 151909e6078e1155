#!/bin/bash
# Redis on the data volume, its users and its metrics.
set -euo pipefail
# A container's kernel is another's.
systemd-detect-virt -cq || sysctl -q -p /etc/sysctl.d/61-redis.conf
install -d -o redis -g redis -m 0750 /srv/data/redis
# A replaced host may number its users differently from the one that filled the volume.
chown -R redis:redis /srv/data/redis

password=$(ha-secret cache/password)
digest=$(printf %s "$password" | sha256sum | cut -d' ' -f1)
# The application: keys, and nothing that administers or empties the server. The metrics: reading about it.
install -g redis -m 0640 /dev/stdin /etc/redis/users.acl.new <<ACL
user default on #$digest ~* &* +@all -@admin -@dangerous +info
user exporter on #$digest ~* -@all +@connection +info +dbsize +config|get +slowlog|get +slowlog|len +latency|latest +latency|histogram +client|list
ACL
if cmp -s /etc/redis/users.acl.new /etc/redis/users.acl; then
  rm /etc/redis/users.acl.new
  systemctl start redis-server
else
  mv /etc/redis/users.acl.new /etc/redis/users.acl
  systemctl restart redis-server
fi

install -m 0600 /dev/stdin /etc/ha/redis-exporter.env <<<"REDIS_PASSWORD=$password"
systemctl restart prometheus-redis-exporter
