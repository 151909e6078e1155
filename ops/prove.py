"""A proof: the newest backup is restored on a host of its own, read whole, and thrown away."""

from __future__ import annotations

from datetime import UTC, datetime

from ops import proof as proofs
from ops.estate import Estate
from ops.lease import Lease
from ops.proof import Proof
from ops.restore import Checked, Restored, RestoreFailed, check, restore
from ops.restore_host import Say, end
from ops.target import NEWEST, parse
from spec.errors import HaError
from spec.scope import Scope
from spec.settings import BackupSettings


def prove(estate: Estate, scope: Scope, settings: BackupSettings, lease: Lease, say: Say) -> Proof:
    """Restore the newest backup, read all of it, and write down the result, good or bad.

    :raises HaError: when it could not be tried, such as beside another restore: that says nothing of the backup.
    """
    began = datetime.now(UTC)
    try:
        made = restore(estate, scope, settings, lease, parse(NEWEST, now=began), say, fresh=False)
    except RestoreFailed as failed:
        proof = Proof(at=datetime.now(UTC), good=False, why=failed.what[:1000], backup=failed.backup)
    else:
        proof = _read_whole(estate, made, began, say)
    proofs.write(estate.client("s3"), scope.artifact_bucket, proof)
    return proof


def _read_whole(estate: Estate, made: Restored, began: datetime, say: Say) -> Proof:
    host = next((one for one in estate.on_demand() if one.instance_id == made.instance_id), None)
    if host is None:
        raise HaError(
            "somebody ended the host of the restore before it was read",
            where=f"{made.host} ({made.instance_id})",
            fix="run it again",
        )
    try:
        say(f"{host.host} reads the whole database")
        checked = check(estate, host, say)
    finally:
        end(estate, host)
    why = _why(made, checked)
    return Proof(
        at=datetime.now(UTC),
        good=not why,
        why=why[:1000],
        backup=made.backup,
        recovered_until=made.recovered_until,
        rpo_s=_age_s(began, made.canary),
        restore_s=made.took_s,
        bytes=made.bytes,
    )


def _age_s(began: datetime, row: datetime | None) -> float | None:
    """Clocks of two machines differ a little."""
    return None if row is None else max(0.0, round((began - row).total_seconds(), 1))


def _why(made: Restored, checked: Checked) -> str:
    """Why it proves nothing; empty when it does."""
    if made.skipped:
        return f"damaged: {'; '.join(made.skipped)}"
    if not checked.good:
        return "; ".join(checked.errors[:3]) or "it could not be read whole"
    return "" if made.canary else "it has none of the rows that the estate writes each minute"
