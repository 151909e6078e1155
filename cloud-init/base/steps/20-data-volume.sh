#!/bin/bash
# For tiers with a data volume: wait for it, format it only when it is blank, mount it at /srv/data.
set -euo pipefail
[ "$HA_DATA_VOLUME" ] || exit 0
place=/srv/data label=ha-$HA_TIER
root=$(lsblk -nso PATH "$(findmnt -nvo SOURCE /)" 2>/dev/null || true)

# Nitro numbers devices in order of attachment, so use EBS's by-id link: that of the disk, not of a namespace or partition.
disks() {
  local link
  for link in /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol*; do
    [[ $link =~ _vol[0-9a-f]+$ && -b $link ]] || continue
    grep -qxF "$(realpath "$link")" <<<"$root" || echo "$link"
  done
}
until mapfile -t found < <(disks) && ((${#found[@]})); do
  ((SECONDS < 300)) || { echo "no data volume was attached in $SECONDS s" >&2; exit 1; }
  sleep 0.5
done
((${#found[@]} == 1)) || { echo "more than one data volume is attached: ${found[*]}" >&2; exit 1; }
disk=${found[0]}

if mountpoint -q $place; then
  [ "$(stat -Lc %Hr:%Lr "$disk")" = "$(mountpoint -d $place)" ] || { echo "$place is mounted, but not from $disk" >&2; exit 1; }
else
  # An unreadable disk is not a blank one.
  [ "$(blockdev --getsize64 "$disk")" -gt 0 ]
  status=0
  blkid -p -o export "$disk" >/run/ha/data-volume || status=$?
  if [ $status = 2 ]; then
    echo "formatting $disk, which is blank"
    mkfs.ext4 -q -m 1 -L "$label" "$disk"
  elif [ $status != 0 ] || ! grep -qx TYPE=ext4 /run/ha/data-volume || ! grep -qx "LABEL=$label" /run/ha/data-volume; then
    echo "$disk is neither blank nor $label, so it is not used: $(paste -sd' ' /run/ha/data-volume)" >&2
    exit 1
  fi
  # noauto: the set-up mounts it, at every boot, before the services that need it.
  sed -i "\\|[[:space:]]${place}[[:space:]]|d" /etc/fstab
  echo "LABEL=$label $place ext4 noatime,lazytime,nofail,noauto,x-systemd.device-timeout=1s 0 0" >>/etc/fstab
  e2fsck -p "$disk" || [ $? = 1 ]
  mkdir -p $place
  # lazytime keeps timestamps in memory: their update would wait for the journal, which is slow on a busy volume.
  mount -o noatime,lazytime "$disk" $place
fi
# The volume may have grown.
resize2fs "$disk" >/run/ha/resize2fs 2>&1 || { cat /run/ha/resize2fs >&2; exit 1; }
