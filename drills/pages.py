"""Whom the estate told of its trouble, and when: a subscriber of the alert topic."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drills.ground import Ground

POLL_S = 1.0


@dataclass(frozen=True)
class Page:
    """A message, with the moment at which its subscriber had it; monotonic."""

    at: float
    subject: str


class Pages:
    """What has come so far."""

    def __init__(self, sqs: Any, queue_url: str) -> None:
        self._sqs, self._queue_url = sqs, queue_url
        self._ending = threading.Event()
        self._came: list[Page] = []
        self._thread = threading.Thread(target=self._collect, daemon=True)

    def first(self, alert: str, since: float) -> Page | None:
        """The first that told of this trouble since a moment; those of its end, and of other trouble, do not count."""
        wanted = (
            one for one in list(self._came) if one.at >= since and "FIRING" in one.subject and alert in one.subject
        )
        return next(wanted, None)

    @contextlib.contextmanager
    def collecting(self) -> Iterator[Pages]:
        """Collects for as long as the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            self._thread.join()

    def _collect(self) -> None:
        while not self._ending.wait(POLL_S):
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", ()):
                subject = json.loads(message["Body"]).get("Subject") or ""
                self._came.append(Page(time.monotonic(), subject))
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])


@contextlib.contextmanager
def subscribed(ground: Ground, host: str) -> Iterator[Pages]:
    """A subscriber for as long as the block, of the topic that a host of the stack knows; it is gone afterwards."""
    topic_arn = ground.run(host, ". /etc/ha/host.env; echo $HA_ALERT_TOPIC_ARN").strip()
    sns, sqs = ground.estate.client("sns"), ground.estate.client("sqs")
    with contextlib.ExitStack() as undoing:
        queue_url = sqs.create_queue(QueueName=f"drill-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        undoing.callback(sqs.delete_queue, QueueUrl=queue_url)
        asked = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        queue_arn = asked["Attributes"]["QueueArn"]
        made = sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, ReturnSubscriptionArn=True)
        undoing.callback(sns.unsubscribe, SubscriptionArn=made["SubscriptionArn"])
        yield undoing.enter_context(Pages(sqs, queue_url).collecting())
