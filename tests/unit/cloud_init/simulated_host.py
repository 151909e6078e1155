"""A host whose files are in a folder and whose systemd is a stand-in, to run its set-up steps again and again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from tests.unit.cloud_init.rendering import files_of
from tests.unit.cloud_init.sandbox import STEPS, Sandbox

PLACES = re.compile(r"(?<![\w/}])/(?=(?:etc|srv/data|run/ha|usr/local|var/www|var/lib/postgresql|var/log/journal)\b)")
PACKAGED = {
    "pgbouncer": "Type=notify\nExecStart=/usr/sbin/pgbouncer /etc/pgbouncer/pgbouncer.ini\n",
    "haproxy": 'Environment="CONFIG=/etc/haproxy/haproxy.cfg"\nExecStart=/usr/sbin/haproxy -Ws -f $CONFIG\n',
    "keepalived": "ExecStart=/usr/sbin/keepalived --dont-fork\n",
    "prometheus": "EnvironmentFile=/etc/default/prometheus\nExecStart=/usr/bin/prometheus $ARGS\n",
    "prometheus-alertmanager": "EnvironmentFile=/etc/default/prometheus-alertmanager\n",
    "prometheus-node-exporter": "EnvironmentFile=/etc/default/prometheus-node-exporter\n",
    "prometheus-postgres-exporter": "EnvironmentFile=/etc/default/prometheus-postgres-exporter\n",
    "prometheus-redis-exporter": "EnvironmentFile=/etc/default/prometheus-redis-exporter\n",
    "redis-sentinel": "ExecStart=/usr/bin/redis-sentinel /etc/redis/sentinel.conf\n",
    "redis-server": "ExecStart=/usr/bin/redis-server /etc/redis/redis.conf\n",
    "systemd-journald": "ExecStart=/usr/lib/systemd/systemd-journald\n",
    "systemd-timesyncd": "ExecStart=/usr/lib/systemd/systemd-timesyncd\n",
}
"""What matters of the units of Debian's packages."""
# A unit's state is a file with its invocation and the second in which it began. The unit named in `fails` does not
# start, the one in `dies` ends at once, the one in `conditions` has a condition that is not met.
SYSTEMCTL = r"""
cd ROOT/units
verb=$1
shift
while [[ ${1:-} = -* && $verb != show ]]; do shift; done
for one; do case $one in *.*) ;; -*) ;; [A-Z]*) ;; *) one+=.service ;; esac; unit=$one; done
begin() {
  if grep -qxsF "$unit" fails; then echo "Job for $unit failed because it exited." >&2; exit 1; fi
  rm -f "$unit"
  if ! grep -qxsF "$unit" conditions dies; then echo "$(tr -d - </proc/sys/kernel/random/uuid) $(date +%s)" >"$unit"; fi
}
case $verb in
  cat)
    found=''
    for file in ROOT/packaged/$unit ROOT/etc/systemd/system/$unit ROOT/etc/systemd/system/$unit.d/*.conf; do
      if [ -e "$file" ]; then found=yes; echo "# $file"; cat "$file"; fi
    done
    [ $found ] || { echo "No files found for $unit." >&2; exit 1; }
    ;;
  show)
    condition=yes
    if grep -qxsF "$unit" conditions; then condition=no; fi
    invocation='' began=0 state=inactive
    if [ -e "$unit" ]; then read -r invocation began <"$unit"; state=active; fi
    printf '%s\n' "ActiveState=$state" "InvocationID=$invocation" "InactiveExitTimestamp=@$began" \
      "ConditionResult=$condition"
    ;;
  is-active) [ -e "$unit" ] ;;
  start) [ -e "$unit" ] || begin ;;
  restart) begin ;;
  stop) rm -f "$unit" ;;
esac
"""
# As this user, whoever owns the file on a host.
INSTALL = r"""
kept=()
while (($#)); do
  case $1 in -o | -g) shift ;; *) kept+=("$1") ;; esac
  shift
done
exec /usr/bin/install "${kept[@]}"
"""


class SimulatedHost:
    """The host's files, under `root`, and what its steps did to its services."""

    def __init__(self, folder: Path, name: str, **settings: object) -> None:
        self.sandbox, self.root = Sandbox(folder), folder
        for path, content in files_of(name, **settings).items():
            target = folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self._moved(content))
            if content.startswith("#!"):
                target.chmod(0o755)
        for one in ("units", "packaged", "etc/ha/tls", "etc/redis", "etc/haproxy/tls", "etc/pgbouncer", "srv/data"):
            (folder / one).mkdir(parents=True, exist_ok=True)
        for unit, text in PACKAGED.items():
            (folder / f"packaged/{unit}.service").write_text(self._moved(f"[Service]\n{text}"))
        for one in ("ca.crt", "host.crt", "host.key"):
            (folder / f"etc/ha/tls/{one}").write_text(one)
        self.stand_in("systemctl", SYSTEMCTL)
        self.stand_in("ha-secret", 'for one; do [[ $one == -* ]] || echo "value of $one"; done')
        self.stand_in("install", INSTALL)
        self.stand_in("chown")

    def _moved(self, text: str) -> str:
        return PLACES.sub(f"{self.root}/", text)

    def stand_in(self, name: str, script: str = "") -> None:
        self.sandbox.stand_in(name, script.replace("ROOT", str(self.root)))

    def replace_program(self, path: str, script: str = "") -> None:
        """A stand-in for a program of the host's own files."""
        (self.root / path.lstrip("/")).unlink()
        self.stand_in(Path(path).name, script)
        shutil.move(self.sandbox.bin / Path(path).name, self.root / path.lstrip("/"))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.sandbox.bin}:{self.root}/usr/local/sbin:{os.environ['PATH']}"
        full = {"PATH": path, "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            command, env=full, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    def steps(self, *names: str) -> str:
        """Run steps, which must succeed. Returns what they print."""
        said = ""
        for name in names:
            done = self.run("bash", f"{self.root}{STEPS}{name}")
            assert done.returncode == 0, done.stderr + done.stdout
            said += done.stdout
        return said

    def did(self) -> list[str]:
        """What was done to services since the last call, but for what starts in the background and looks for itself."""
        calls = self.sandbox.calls("systemctl")
        (self.root / "calls").unlink(missing_ok=True)
        acts = ("restart", "start", "reload", "stop", "try-restart", "reload-or-restart")
        words = [call.split()[1:] for call in calls if " --no-block " not in call]
        return [" ".join(w).replace(".service", "") for w in words if w[0] in acts and not w[-1].endswith(".timer")]

    def edit(self, path: str, content: str = "# edited\n") -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a", encoding="utf-8") as file:
            file.write(content)

    def started_by_another(self, unit: str, age_s: int) -> None:
        """The service runs, by somebody else's doing, since `age_s` seconds ago; negative is in the future."""
        (self.root / f"units/{unit}.service").write_text(f"other{age_s} {int(time.time()) - age_s}\n")
