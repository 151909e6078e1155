"""Values on their way between the engine and the provider."""

from __future__ import annotations

from pulumi.provider.experimental.property_value import PropertyValue

from lab.provider.values import UNKNOWN, outputs_of, plain, property_value


def test_values_go_both_ways() -> None:
    value = {"text": "a", "number": 3, "half": 0.5, "yes": True, "list": [1, {"deep": "b"}]}
    assert plain(property_value(value)) == value
    assert plain(property_value(UNKNOWN)) is UNKNOWN


def test_secrets_stay_secret_and_unchanged_inputs_stay_as_given() -> None:
    given = {"password": property_value("hunter2", secret=True), "name": PropertyValue("n")}
    outputs = outputs_of({"password": "hunter2", "name": "other", "arn": "a"}, given)
    assert outputs["password"] is given["password"]
    assert outputs["password"].is_secret
    assert not outputs["name"].is_secret
    changed = outputs_of({"password": "hunter3"}, given)
    assert changed["password"].is_secret
