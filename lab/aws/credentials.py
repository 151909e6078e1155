"""The temporary credentials of instances for their role."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

KEY_PREFIX = "ASIALAB"
LIFETIME_S = 6 * 3600
_RENEWED_BEFORE_S = 15 * 60


@dataclass(frozen=True)
class HostKey:
    """One set of credentials of an instance. Times are Unix seconds."""

    access_key: str
    secret_key: str
    token: str
    instance_id: str
    role_name: str
    issued: float
    expires: float


class Credentials:
    """Issues keys to instances, and finds them by their access key. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.time, lifetime_s: float = LIFETIME_S) -> None:
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._lock = threading.Lock()
        self._by_access_key: dict[str, HostKey] = {}
        self._latest: dict[tuple[str, str], HostKey] = {}

    def issue(self, instance_id: str, role_name: str) -> HostKey:
        """The instance's current key: the same one until 15 minutes before it expires."""
        now = self._clock()
        with self._lock:
            key = self._latest.get((instance_id, role_name))
            if key is None or key.expires - now < min(_RENEWED_BEFORE_S, self._lifetime_s / 2):
                key = HostKey(
                    access_key=KEY_PREFIX + secrets.token_hex(7).upper()[:13],
                    secret_key=secrets.token_urlsafe(30),
                    token=secrets.token_urlsafe(96),
                    instance_id=instance_id,
                    role_name=role_name,
                    issued=now,
                    expires=now + self._lifetime_s,
                )
                self._latest[instance_id, role_name] = key
                self._by_access_key[key.access_key] = key
            return key

    def find(self, access_key: str) -> HostKey | None:
        """The key, expired or not; None when the lab never issued it or its instance is gone."""
        with self._lock:
            return self._by_access_key.get(access_key)

    def expired(self, key: HostKey) -> bool:
        """Whether a key has expired."""
        return self._clock() >= key.expires

    def keep_only(self, instance_ids: Iterable[str]) -> None:
        """Revoke the keys of all other instances, which are gone."""
        alive = set(instance_ids)
        with self._lock:
            self._by_access_key = {k: v for k, v in self._by_access_key.items() if v.instance_id in alive}
            self._latest = {k: v for k, v in self._latest.items() if v.instance_id in alive}
