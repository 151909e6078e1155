"""The topic of alerts, and the budget that publishes to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.policies import alert_topic_policy
from spec.scope import Scope
from spec.tags import STACK_TAG


@dataclass(frozen=True, kw_only=True)
class AlertsArgs:
    """`email` null: this program subscribes nobody. `budget_monthly_usd` in dollars a month."""

    scope: Scope
    email: str | None
    budget_monthly_usd: Decimal


class Alerts(Component):
    """The SNS topic for alarms, Alertmanager and the budget; the e-mail subscription, if any; the budget.

    The topic is not encrypted with the AWS managed key, because CloudWatch alarms could not publish to it.
    https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns
    Attribute: `topic_arn`.
    """

    token: ClassVar[str] = "ha:alerts:Alerts"

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.scope.stack, opts)
        topic = aws.sns.Topic(
            f"{name}-topic", name=args.scope.alert_topic_name, tags=self.tags("alerts"), opts=self.child()
        )
        self.topic_arn: pulumi.Output[str] = topic.arn
        policy = aws.sns.TopicPolicy(
            f"{name}-publishers",
            arn=topic.arn,
            policy=json.dumps(alert_topic_policy(args.scope)),
            opts=self.child(),
        )
        if args.email is not None:
            aws.sns.TopicSubscription(
                f"{name}-email", topic=topic.arn, protocol="email", endpoint=args.email, opts=self.child()
            )
        aws.budgets.Budget(
            f"{name}-budget",
            name=f"{args.scope.project}-{args.scope.stack}",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.budget_monthly_usd),
            limit_unit="USD",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:{STACK_TAG}${args.scope.stack}"]}],
            # Both would be taken off: in an account with promotional credits the budget would see no spending.
            cost_types=aws.budgets.BudgetCostTypesArgs(include_credit=False, include_refund=False),
            notifications=[
                _notification("ACTUAL", 80, topic.arn),
                _notification("FORECASTED", 100, topic.arn),
            ],
            tags=self.tags("budget"),
            # When it is created, the service checks that it may publish.
            opts=self.child(pulumi.ResourceOptions(depends_on=[policy])),
        )
        self.register_outputs({"topic_arn": self.topic_arn})


def _notification(
    kind: str, threshold_percent: int, topic_arn: pulumi.Input[str]
) -> aws.budgets.BudgetNotificationArgs:
    return aws.budgets.BudgetNotificationArgs(
        comparison_operator="GREATER_THAN",
        threshold=threshold_percent,
        threshold_type="PERCENTAGE",
        notification_type=kind,
        subscriber_sns_topic_arns=[topic_arn],
    )
