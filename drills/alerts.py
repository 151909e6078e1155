"""A subscriber of the estate's alert topic, and when it received which alert."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drills.fault_injector import FaultInjector

POLL_S = 1.0


@dataclass(frozen=True)
class Message:
    """A message of the topic, and when it was received (monotonic)."""

    received_at: float
    subject: str


class AlertInbox:
    """The messages received so far."""

    def __init__(self, sqs: Any, queue_url: str) -> None:
        self._sqs, self._queue_url = sqs, queue_url
        self._ending = threading.Event()
        self._received: list[Message] = []
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def first_firing(self, alert: str, since: float) -> Message | None:
        """The first message since a moment that says that `alert` fires."""
        firing = (
            one
            for one in list(self._received)
            if one.received_at >= since and "FIRING" in one.subject and alert in one.subject
        )
        return next(firing, None)

    @contextlib.contextmanager
    def receiving(self) -> Iterator[AlertInbox]:
        """Receives during the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            self._thread.join()

    def _receive(self) -> None:
        while not self._ending.wait(POLL_S):
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", ()):
                subject = json.loads(message["Body"]).get("Subject") or ""
                self._received.append(Message(time.monotonic(), subject))
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])


@contextlib.contextmanager
def alert_subscription(injector: FaultInjector, host: str) -> Iterator[AlertInbox]:
    """Subscribes, during the block, to the topic that a host of the estate sends its alerts to."""
    topic_arn = injector.run(host, ". /etc/ha/host.env; echo $HA_ALERT_TOPIC_ARN").strip()
    sns, sqs = injector.estate.client("sns"), injector.estate.client("sqs")
    with contextlib.ExitStack() as undoing:
        queue_url = sqs.create_queue(QueueName=f"drill-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        undoing.callback(sqs.delete_queue, QueueUrl=queue_url)
        asked = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        queue_arn = asked["Attributes"]["QueueArn"]
        made = sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, ReturnSubscriptionArn=True)
        undoing.callback(sns.unsubscribe, SubscriptionArn=made["SubscriptionArn"])
        yield undoing.enter_context(AlertInbox(sqs, queue_url).receiving())
