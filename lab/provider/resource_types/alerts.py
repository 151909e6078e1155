"""SNS topics, CloudWatch alarms and budgets."""

from __future__ import annotations

import json
from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Naming, Properties, ResourceType, names
from lab.provider.resource_types.calls import again, found, given, gone, present
from lab.provider.resource_types.tags import tag_list
from spec.project import EXAMPLE_ACCOUNT_ID

# --- SNS


def _create_topic(cloud: Cloud, inputs: Properties) -> str:
    attributes = given(DisplayName=inputs.get("displayName"), KmsMasterKeyId=inputs.get("kmsMasterKeyId"))
    answer = cloud.client("sns").create_topic(
        Name=inputs["name"], Attributes=attributes, Tags=tag_list(inputs["tagsAll"])
    )
    return str(answer["TopicArn"])


def _update_topic(cloud: Cloud, arn: str, old: Properties, new: Properties, changed: set[str]) -> None:
    attributes = {"displayName": "DisplayName", "kmsMasterKeyId": "KmsMasterKeyId"}
    for name in sorted(changed):
        cloud.client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName=attributes[name], AttributeValue=new.get(name, "")
        )


def _read_topic(cloud: Cloud, arn: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.client("sns").get_topic_attributes(TopicArn=arn))
    if not answer:
        return None
    attributes = answer["Attributes"]
    return present(
        {
            "name": arn.rpartition(":")[2],
            "displayName": attributes.get("DisplayName"),
            "kmsMasterKeyId": attributes.get("KmsMasterKeyId"),
            "arn": arn,
            "owner": EXAMPLE_ACCOUNT_ID,
        }
    )


def _retag_sns(cloud: Cloud, arn: str, state: Properties, tags: dict[str, str], old: list[str]) -> None:
    if old:
        cloud.client("sns").untag_resource(ResourceArn=arn, TagKeys=old)
    if tags:
        cloud.client("sns").tag_resource(ResourceArn=arn, Tags=tag_list(tags))


TOPIC = ResourceType(
    type="aws:sns/topic:Topic",
    inputs=names("name namePrefix displayName kmsMasterKeyId"),
    outputs=names("arn owner"),
    replaces=names("name namePrefix"),
    naming=Naming(max_length=256),
    create=_create_topic,
    read=_read_topic,
    update=_update_topic,
    delete=lambda cloud, arn, state: gone(lambda: cloud.client("sns").delete_topic(TopicArn=arn)),
    retag=_retag_sns,
)


def _put_topic_policy(cloud: Cloud, inputs: Properties) -> str:
    cloud.client("sns").set_topic_attributes(
        TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
    )
    return str(inputs["arn"])


def _read_topic_policy(cloud: Cloud, arn: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.client("sns").get_topic_attributes(TopicArn=arn))
    return {"arn": arn, "policy": answer["Attributes"]["Policy"], "owner": EXAMPLE_ACCOUNT_ID} if answer else None


def _delete_topic_policy(cloud: Cloud, arn: str, state: Properties) -> None:
    # As the real provider does: a topic always has a policy, so it gets the default one again.
    policy = {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:GetTopicAttributes", "SNS:SetTopicAttributes"],
                "Resource": arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": EXAMPLE_ACCOUNT_ID}},
            }
        ],
    }
    gone(
        lambda: cloud.client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
        )
    )


TOPIC_POLICY = ResourceType(
    type="aws:sns/topicPolicy:TopicPolicy",
    inputs=names("arn policy"),
    required=names("arn policy"),
    outputs=names("owner"),
    replaces=names("arn"),
    documents=names("policy"),
    create=_put_topic_policy,
    read=_read_topic_policy,
    update=lambda cloud, arn, old, new, changed: again(_put_topic_policy, cloud, new),
    delete=_delete_topic_policy,
)


def _subscribe(cloud: Cloud, inputs: Properties) -> str:
    answer = cloud.client("sns").subscribe(
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        ReturnSubscriptionArn=True,
    )
    return str(answer["SubscriptionArn"])


def _read_subscription(cloud: Cloud, arn: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.client("sns").get_subscription_attributes(SubscriptionArn=arn))
    if not answer:
        return None
    attributes = answer["Attributes"]
    return {
        "topic": attributes["TopicArn"],
        "protocol": attributes["Protocol"],
        "endpoint": attributes["Endpoint"],
        "arn": arn,
        "ownerId": EXAMPLE_ACCOUNT_ID,
        "pendingConfirmation": attributes.get("PendingConfirmation") == "true",
    }


TOPIC_SUBSCRIPTION = ResourceType(
    type="aws:sns/topicSubscription:TopicSubscription",
    inputs=names("topic protocol endpoint"),
    required=names("topic protocol endpoint"),
    outputs=names("arn ownerId pendingConfirmation"),
    replaces=names("topic protocol endpoint"),
    create=_subscribe,
    read=_read_subscription,
    delete=lambda cloud, arn, state: gone(lambda: cloud.client("sns").unsubscribe(SubscriptionArn=arn)),
)

# --- CloudWatch

_ALARM = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "insufficientDataActions": "InsufficientDataActions",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "okActions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}


def _put_alarm(cloud: Cloud, inputs: Properties) -> str:
    dimensions = [{"Name": key, "Value": value} for key, value in (inputs.get("dimensions") or {}).items()]
    arguments = {key: inputs[name] for name, key in _ALARM.items() if inputs.get(name) is not None}
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=inputs["name"],
        Dimensions=dimensions,
        **arguments,
        **({"Tags": tag_list(inputs["tagsAll"])} if inputs.get("tagsAll") else {}),
    )
    return str(inputs["name"])


def _read_alarm(cloud: Cloud, name: str, state: Properties) -> Properties | None:
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    if not alarms:
        return None
    alarm = alarms[0]
    return present(
        {
            "name": name,
            "arn": alarm["AlarmArn"],
            "dimensions": {one["Name"]: one["Value"] for one in alarm.get("Dimensions", ())},
            **{ours: alarm.get(key) for ours, key in _ALARM.items()},
        }
    )


def _retag_alarm(cloud: Cloud, name: str, state: Properties, tags: dict[str, str], old: list[str]) -> None:
    if old:
        cloud.client("cloudwatch").untag_resource(ResourceARN=state["arn"], TagKeys=old)
    if tags:
        cloud.client("cloudwatch").tag_resource(ResourceARN=state["arn"], Tags=tag_list(tags))


METRIC_ALARM = ResourceType(
    type="aws:cloudwatch/metricAlarm:MetricAlarm",
    inputs=names("name dimensions " + " ".join(_ALARM)),
    required=names("comparisonOperator evaluationPeriods"),
    outputs=names("arn"),
    replaces=names("name"),
    defaults={"actionsEnabled": True, "treatMissingData": "missing"},
    sets=names("alarmActions okActions insufficientDataActions"),
    naming=Naming(prefix_property=None, max_length=255),
    create=_put_alarm,
    read=_read_alarm,
    update=lambda cloud, name, old, new, changed: again(_put_alarm, cloud, {**new, "name": name}),
    delete=lambda cloud, name, state: gone(lambda: cloud.client("cloudwatch").delete_alarms(AlarmNames=[name])),
    retag=_retag_alarm,
)

# --- Budgets


def _budget(inputs: Properties) -> dict[str, Any]:
    filters = {one["name"]: one["values"] for one in inputs.get("costFilters") or ()}
    return given(
        BudgetName=inputs["name"],
        BudgetType=inputs["budgetType"],
        TimeUnit=inputs["timeUnit"],
        BudgetLimit={"Amount": inputs["limitAmount"], "Unit": inputs["limitUnit"]},
        CostFilters=filters or None,
        CostTypes={f"{name[0].upper()}{name[1:]}": value for name, value in (inputs.get("costTypes") or {}).items()}
        or None,
    )


def _notifications(inputs: Properties) -> list[dict[str, Any]]:
    return [
        {
            "Notification": {
                "ComparisonOperator": one["comparisonOperator"],
                "NotificationType": one["notificationType"],
                "Threshold": one["threshold"],
                "ThresholdType": one["thresholdType"],
            },
            "Subscribers": [
                *({"SubscriptionType": "SNS", "Address": arn} for arn in one.get("subscriberSnsTopicArns") or ()),
                *({"SubscriptionType": "EMAIL", "Address": to} for to in one.get("subscriberEmailAddresses") or ()),
            ],
        }
        for one in inputs.get("notifications") or ()
    ]


def _create_budget(cloud: Cloud, inputs: Properties) -> str:
    cloud.client("budgets").create_budget(
        AccountId=EXAMPLE_ACCOUNT_ID,
        Budget=_budget(inputs),
        NotificationsWithSubscribers=_notifications(inputs),
        **({"ResourceTags": tag_list(inputs["tagsAll"])} if inputs.get("tagsAll") else {}),
    )
    return f"{EXAMPLE_ACCOUNT_ID}:{inputs['name']}"


def _name(budget_id: str) -> str:
    return budget_id.partition(":")[2]


def _read_budget(cloud: Cloud, budget_id: str, state: Properties) -> Properties | None:
    name = _name(budget_id)
    answer = found(lambda: cloud.client("budgets").describe_budget(AccountId=EXAMPLE_ACCOUNT_ID, BudgetName=name))
    if not answer:
        return None
    budget = answer["Budget"]
    return present(
        {
            "accountId": EXAMPLE_ACCOUNT_ID,
            "name": name,
            "budgetType": budget["BudgetType"],
            "timeUnit": budget["TimeUnit"],
            "limitAmount": budget["BudgetLimit"]["Amount"],
            "limitUnit": budget["BudgetLimit"]["Unit"],
            "costFilters": [
                {"name": key, "values": values} for key, values in (budget.get("CostFilters") or {}).items()
            ],
            "costTypes": {f"{key[0].lower()}{key[1:]}": value for key, value in budget["CostTypes"].items()},
            "arn": f"arn:aws:budgets::{EXAMPLE_ACCOUNT_ID}:budget/{name}",
        }
    )


def _delete_budget(cloud: Cloud, budget_id: str, state: Properties) -> None:
    gone(lambda: cloud.client("budgets").delete_budget(AccountId=EXAMPLE_ACCOUNT_ID, BudgetName=_name(budget_id)))


def _update_budget(cloud: Cloud, budget_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    # moto has no UpdateBudget. A budget has no state besides its inputs, so it is created again.
    _delete_budget(cloud, budget_id, old)
    _create_budget(cloud, {**new, "name": _name(budget_id)})


BUDGET = ResourceType(
    type="aws:budgets/budget:Budget",
    inputs=names(
        "accountId budgetType costFilters costTypes limitAmount limitUnit name namePrefix notifications timeUnit"
    ),
    required=names("budgetType timeUnit limitAmount limitUnit"),
    outputs=names("arn"),
    replaces=names("accountId name namePrefix"),
    computed=names("accountId costFilters costTypes limitAmount limitUnit"),
    sets=names("costFilters notifications"),
    blocks=names("costTypes"),
    naming=Naming(max_length=100),
    create=_create_budget,
    read=_read_budget,
    update=_update_budget,
    delete=_delete_budget,
    # moto keeps no tags of budgets; the lab needs them in the state only.
    retag=lambda cloud, budget_id, state, tags, old: None,
)

RESOURCE_TYPES = (TOPIC, TOPIC_POLICY, TOPIC_SUBSCRIPTION, METRIC_ALARM, BUDGET)
