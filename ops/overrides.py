"""What happened with the gates off: recorded in the artifact bucket, and published to the estate's alert topic."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops import objects
from ops.lease import person
from ops.switchover import Say
from spec.overrides import GATES

PREFIX = "operations/overrides/"


@dataclass(kw_only=True)
class Overrides:
    """The gates that one update passes. Each is recorded; the first one is published too."""

    s3: Any
    sns: Any
    bucket: str
    topic_arn: str
    say: Say
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _published: bool = field(default=False, init=False)

    def passed(self, what: str) -> None:
        """:raises HaError: when it cannot be recorded. A topic that cannot be reached holds up nobody."""
        self.say(f"{what}: {GATES}=off")
        at, by = datetime.now(UTC), person()
        record = {"what": what, "override": f"{GATES}=off", "by": by, "at": at.isoformat()}
        key = f"{PREFIX}{at:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
        objects.replace(self.s3, self.bucket, key, f"{json.dumps(record)}\n".encode(), etag="")
        with self._lock:
            first, self._published = not self._published, True
        if first:
            records = f"s3://{self.bucket}/{PREFIX}"
            self._publish(f"{what}: {GATES}=off, by {by}. Records: {records}. See docs/runbooks/GatesOff.md")

    def _publish(self, text: str) -> None:
        try:
            self.sns.publish(TopicArn=self.topic_arn, Subject=f"{GATES}=off", Message=text)
        except (BotoCoreError, ClientError) as error:
            self.say(f"{GATES}=off is recorded, but no alert could be sent: {error}")
