"""What is recovered from in drills. `recovery_run` does the acts."""

from __future__ import annotations

from enum import StrEnum


class Recovery(StrEnum):
    """By the name of the drill."""

    RESTORE_TO_TIME = "restore-to-time"
    RESTORE_THROUGH_FAILOVER = "restore-through-failover"
    BACKUP_DURING_FAILOVER = "backup-during-failover"
    ARCHIVE_UNREACHABLE = "archive-unreachable"
