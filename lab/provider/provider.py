"""The provider itself: the engine's questions, answered from the table."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pulumi.provider.experimental import provider as api
from pulumi.provider.experimental.property_value import PropertyValue

from lab.provider.cloud import Cloud
from lab.provider.diff import compare
from lab.provider.functions import FUNCTIONS
from lab.provider.row import Naming, Properties, Row
from lab.provider.rows import ROWS
from lab.provider.values import UNKNOWN, outputs_of, plain, plain_map, property_value

VERSION = version("pulumi_aws")
"""The SDK speaks to the provider of its own version."""
_DEFAULTS_KEY = "__defaults"


class UnknownTypeError(Exception):
    """A resource type or function that the table lacks."""


class LabAwsProvider(api.Provider):
    """AWS for the Pulumi engine, by the lab's API."""

    def __init__(self) -> None:
        self._cloud: Cloud | None = None

    @property
    def cloud(self) -> Cloud:
        if self._cloud is None:
            raise RuntimeError("the provider is not configured")
        return self._cloud

    async def get_schema(self, request: api.GetSchemaRequest) -> api.GetSchemaResponse:
        return api.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION}))

    async def check_config(self, request: api.CheckRequest) -> api.CheckResponse:
        return api.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: api.DiffRequest) -> api.DiffResponse:
        return api.DiffResponse(changes=request.old_state != request.new_inputs)

    async def configure(self, request: api.ConfigureRequest) -> api.ConfigureResponse:
        args = plain_map(request.args)
        region = args.get("region") or request.variables.get("aws:config:region")
        if not region:
            raise ValueError("the region is not set: aws:region")
        default_tags = args.get("defaultTags") or {}
        if isinstance(default_tags, str):
            default_tags = json.loads(default_tags)
        self._cloud = Cloud(region, default_tags.get("tags"))
        return api.ConfigureResponse(accept_secrets=True, supports_preview=True, accept_resources=False)

    async def invoke(self, request: api.InvokeRequest) -> api.InvokeResponse:
        function = FUNCTIONS.get(request.tok)
        if function is None:
            raise UnknownTypeError(
                f"the lab's provider does not know the function {request.tok}: add it to lab/provider/functions.py"
            )
        result = await asyncio.to_thread(function, self.cloud, plain_map(request.args))
        return api.InvokeResponse(return_value={name: property_value(value) for name, value in result.items()})

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        row = _row(_type(request.urn))
        given = {name: value for name, value in request.new_inputs.items() if name != _DEFAULTS_KEY}
        inputs = plain_map(given)
        failures = [
            api.CheckFailure(name, f"the lab's provider does not know the property {name} of {row.type}")
            for name in sorted(inputs)
            if name not in row.all_inputs and name != "region"
        ]
        failures += [
            api.CheckFailure(name, f"{name} is required by {row.type}")
            for name in sorted(row.required)
            if name not in inputs
        ]
        if inputs.get("region", self.cloud.region) != self.cloud.region:
            failures.append(api.CheckFailure("region", "a lab has one region: its stack's aws:region"))
        if not failures:
            refused = await asyncio.to_thread(row.refuse, self.cloud, inputs)
            failures = [api.CheckFailure(name, reason) for name, reason in refused]
        checked = dict(given)
        filled = []
        if row.naming and row.naming.property not in inputs and not inputs.get(row.naming.prefix_property or ""):
            old = request.old_inputs.get(row.naming.property)
            checked[row.naming.property] = old or property_value(
                _physical_name(row.naming, request.name, request.random_seed)
            )
            filled.append(row.naming.property)
        checked[_DEFAULTS_KEY] = property_value(filled)
        return api.CheckResponse(inputs=checked, failures=failures)

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        row = _row(_type(request.urn))
        old, new = plain_map(request.old_state), _inputs(row, request.new_inputs)
        difference = compare(row, old, new, _tags_all(self.cloud, row, new))
        return api.DiffResponse(
            changes=bool(difference.detail),
            replaces=sorted(difference.replaces),
            delete_before_replace=bool(difference.replaces) and _name_stays(row, request, difference.changed),
            diffs=sorted(difference.changed),
            detailed_diff=difference.detail,
        )

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        row = _row(_type(request.urn))
        inputs = _inputs(row, request.properties)
        if request.preview:
            outputs = {**dict.fromkeys([*row.all_outputs, *row.all_computed], UNKNOWN), **inputs}
            return api.CreateResponse("", self._outputs(row, outputs, inputs, request.properties))
        resource_id, outputs = await asyncio.to_thread(self._create, row, inputs)
        return api.CreateResponse(resource_id, self._outputs(row, outputs, inputs, request.properties))

    def _create(self, row: Row, inputs: Properties) -> tuple[str, Properties]:
        wanted = {**inputs}
        if row.retag:
            wanted["tagsAll"] = self.cloud.tags_all(inputs.get("tags"))
        if row.naming and row.naming.property not in inputs:
            prefix = inputs.get(row.naming.prefix_property or "", "")
            wanted[row.naming.property] = prefix + f"{random.getrandbits(96):024x}"
        resource_id = row.create(self.cloud, wanted)
        found = row.read(self.cloud, resource_id, wanted) or {}
        return resource_id, _merged(row, found, {**wanted})

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        row = _row(_type(request.urn))
        state = plain_map(request.properties)
        found = await asyncio.to_thread(row.read, self.cloud, request.resource_id, state)
        if found is None:
            return api.ReadResponse("", {}, {})
        inputs = dict(request.inputs) or {
            name: property_value(value) for name, value in found.items() if name in row.all_inputs
        }
        for name, value in found.items():
            given = inputs.get(name)
            if given is not None and not row.same(name, value, plain(given)):
                inputs[name] = property_value(value, secret=given.contains_secret())
        outputs = _merged(row, found, {**state, **_inputs(row, inputs)})
        return api.ReadResponse(request.resource_id, self._outputs(row, outputs, plain_map(inputs), inputs), inputs)

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        row = _row(_type(request.urn))
        old, new = plain_map(request.olds), _inputs(row, request.news)
        if request.preview:
            outputs = _merged(
                row, {k: v for k, v in old.items() if k not in row.all_inputs or k in row.all_computed}, new
            )
        else:
            outputs = await asyncio.to_thread(self._update, row, request.resource_id, old, new)
        return api.UpdateResponse(self._outputs(row, outputs, new, request.news))

    def _update(self, row: Row, resource_id: str, old: Properties, new: Properties) -> Properties:
        tags_all = _tags_all(self.cloud, row, new)
        changed = compare(row, old, new, tags_all).changed
        if changed & {"tags", "tagsAll"} and row.retag:
            gone = [key for key in old.get("tagsAll") or {} if key not in tags_all]
            row.retag(self.cloud, resource_id, old, dict(tags_all), gone)
        rest = changed - {"tags", "tagsAll"}
        if rest:
            if row.update is None:
                raise NotImplementedError(f"{row.type} has no update for {', '.join(sorted(rest))}")
            row.update(self.cloud, resource_id, old, {**new, "tagsAll": tags_all}, rest)
        found = row.read(self.cloud, resource_id, {**old, **new}) or {}
        return _merged(row, found, new)

    async def delete(self, request: api.DeleteRequest) -> None:
        row = _row(_type(request.urn))
        await asyncio.to_thread(row.delete, self.cloud, request.resource_id, plain_map(request.properties))

    def _outputs(
        self, row: Row, outputs: Properties, inputs: Properties, given: Mapping[str, PropertyValue]
    ) -> dict[str, PropertyValue]:
        answer = {name: value for name, value in outputs.items() if name in row.all_inputs | row.all_outputs}
        if row.retag:
            answer["tagsAll"] = _tags_all(self.cloud, row, inputs)
        if "region" not in answer:
            answer["region"] = self.cloud.region
        return outputs_of(answer, given)


def _row(type_token: str) -> Row:
    row = ROWS.get(type_token)
    if row is None:
        raise UnknownTypeError(
            f"the lab's provider does not know the resource type {type_token}: add a row to lab/provider/rows/"
        )
    return row


def _type(urn: str) -> str:
    return urn.split("::")[-2].rpartition("$")[2]


def _inputs(row: Row, properties: Mapping[str, PropertyValue]) -> Properties:
    given = {name: value for name, value in plain_map(properties).items() if name != _DEFAULTS_KEY}
    return {**row.defaults, **given}


def _tags_all(cloud: Cloud, row: Row, inputs: Properties) -> Any:
    tags = inputs.get("tags")
    if tags is UNKNOWN:
        return UNKNOWN
    return cloud.tags_all(tags) if row.retag else {}


def _merged(row: Row, found: Properties, inputs: Properties) -> Properties:
    """State: what AWS says, and what was put in, in the form that it was put in."""
    merged = {**found}
    for name, value in inputs.items():
        if name in row.blocks and isinstance(found.get(name), Mapping) and isinstance(value, Mapping):
            merged[name] = {**found[name], **value}
        else:
            merged[name] = value
    return merged


def _name_stays(row: Row, request: api.DiffRequest, changed: set[str]) -> bool:
    """Whether the new resource would have the name of the old one, so that the old one must go first."""
    if row.naming is None or row.naming.property in changed:
        return False
    filled = plain(request.new_inputs.get(_DEFAULTS_KEY)) or []
    prefix = row.naming.prefix_property
    return row.naming.property not in filled and not (prefix and prefix in request.new_inputs)


def _physical_name(naming: Naming, logical_name: str, seed: bytes) -> str:
    """The logical name and seven random hexadecimal digits, as the real provider's bridge does it."""
    suffix = f"-{random.Random(seed or None).getrandbits(28):07x}"
    name = logical_name.lower() if naming.lower_case else logical_name
    return name[: naming.max_length - len(suffix)] + suffix
