"""The provider, as the engine calls it: each request is passed to its resource type or function."""

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
from lab.provider.resource_type import Naming, Properties, ResourceType
from lab.provider.resource_types import RESOURCE_TYPES
from lab.provider.values import UNKNOWN, outputs_of, plain, plain_map, property_value

VERSION = version("pulumi_aws")
"""The engine asks for the provider in the version of the SDK."""
_DEFAULTS_KEY = "__defaults"


class UnknownTypeError(Exception):
    """A resource type or function that the provider does not support."""


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
                f"the lab's provider does not support the function {request.tok}: add it to lab/provider/functions.py"
            )
        result = await asyncio.to_thread(function, self.cloud, plain_map(request.args))
        return api.InvokeResponse(return_value={name: property_value(value) for name, value in result.items()})

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        resource_type = _resource_type(request.urn)
        given = {name: value for name, value in request.new_inputs.items() if name != _DEFAULTS_KEY}
        inputs = plain_map(given)
        failures = [
            api.CheckFailure(name, f"the lab's provider does not support the property {name} of {resource_type.type}")
            for name in sorted(inputs)
            if name not in resource_type.all_inputs and name != "region"
        ]
        failures += [
            api.CheckFailure(name, f"{name} is required by {resource_type.type}")
            for name in sorted(resource_type.required)
            if name not in inputs
        ]
        if inputs.get("region", self.cloud.region) != self.cloud.region:
            failures.append(api.CheckFailure("region", "a lab has one region: its stack's aws:region"))
        if not failures:
            refused = await asyncio.to_thread(resource_type.refuse, self.cloud, inputs)
            failures = [api.CheckFailure(name, reason) for name, reason in refused]
        checked = dict(given)
        filled = []
        naming = resource_type.naming
        if naming and naming.property not in inputs and not inputs.get(naming.prefix_property or ""):
            old = request.old_inputs.get(naming.property)
            checked[naming.property] = old or property_value(_physical_name(naming, request.name, request.random_seed))
            filled.append(naming.property)
        checked[_DEFAULTS_KEY] = property_value(filled)
        return api.CheckResponse(inputs=checked, failures=failures)

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        resource_type = _resource_type(request.urn)
        old, new = plain_map(request.old_state), _inputs(resource_type, request.new_inputs)
        difference = compare(resource_type, old, new, _tags_all(self.cloud, resource_type, new))
        return api.DiffResponse(
            changes=bool(difference.detail),
            replaces=sorted(difference.replaces),
            delete_before_replace=bool(difference.replaces) and _name_stays(resource_type, request, difference.changed),
            diffs=sorted(difference.changed),
            detailed_diff=difference.detail,
        )

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        resource_type = _resource_type(request.urn)
        inputs = _inputs(resource_type, request.properties)
        if request.preview:
            outputs = {**dict.fromkeys([*resource_type.all_outputs, *resource_type.all_computed], UNKNOWN), **inputs}
            return api.CreateResponse("", self._outputs(resource_type, outputs, inputs, request.properties))
        resource_id, outputs = await asyncio.to_thread(self._create, resource_type, inputs)
        return api.CreateResponse(resource_id, self._outputs(resource_type, outputs, inputs, request.properties))

    def _create(self, resource_type: ResourceType, inputs: Properties) -> tuple[str, Properties]:
        wanted = {**inputs}
        if resource_type.retag:
            wanted["tagsAll"] = self.cloud.tags_all(inputs.get("tags"))
        naming = resource_type.naming
        if naming and naming.property not in inputs:
            wanted[naming.property] = inputs.get(naming.prefix_property or "", "") + f"{random.getrandbits(96):024x}"
        resource_id = resource_type.create(self.cloud, wanted)
        found = resource_type.read(self.cloud, resource_id, wanted) or {}
        return resource_id, _merged(resource_type, found, {**wanted})

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        resource_type = _resource_type(request.urn)
        state = plain_map(request.properties)
        found = await asyncio.to_thread(resource_type.read, self.cloud, request.resource_id, state)
        if found is None:
            return api.ReadResponse("", {}, {})
        inputs = dict(request.inputs) or {
            name: property_value(value) for name, value in found.items() if name in resource_type.all_inputs
        }
        for name, value in found.items():
            given = inputs.get(name)
            if given is not None and not resource_type.same(name, value, plain(given)):
                inputs[name] = property_value(value, secret=given.contains_secret())
        outputs = _merged(resource_type, found, {**state, **_inputs(resource_type, inputs)})
        return api.ReadResponse(
            request.resource_id, self._outputs(resource_type, outputs, plain_map(inputs), inputs), inputs
        )

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        resource_type = _resource_type(request.urn)
        old, new = plain_map(request.olds), _inputs(resource_type, request.news)
        if request.preview:
            outputs = _merged(
                resource_type,
                {k: v for k, v in old.items() if k not in resource_type.all_inputs or k in resource_type.all_computed},
                new,
            )
        else:
            outputs = await asyncio.to_thread(self._update, resource_type, request.resource_id, old, new)
        return api.UpdateResponse(self._outputs(resource_type, outputs, new, request.news))

    def _update(self, resource_type: ResourceType, resource_id: str, old: Properties, new: Properties) -> Properties:
        tags_all = _tags_all(self.cloud, resource_type, new)
        changed = compare(resource_type, old, new, tags_all).changed
        if changed & {"tags", "tagsAll"} and resource_type.retag:
            gone = [key for key in old.get("tagsAll") or {} if key not in tags_all]
            resource_type.retag(self.cloud, resource_id, old, dict(tags_all), gone)
        rest = changed - {"tags", "tagsAll"}
        if rest:
            if resource_type.update is None:
                raise NotImplementedError(f"{resource_type.type} has no update for {', '.join(sorted(rest))}")
            resource_type.update(self.cloud, resource_id, old, {**new, "tagsAll": tags_all}, rest)
        found = resource_type.read(self.cloud, resource_id, {**old, **new}) or {}
        return _merged(resource_type, found, new)

    async def delete(self, request: api.DeleteRequest) -> None:
        resource_type = _resource_type(request.urn)
        await asyncio.to_thread(resource_type.delete, self.cloud, request.resource_id, plain_map(request.properties))

    def _outputs(
        self, resource_type: ResourceType, outputs: Properties, inputs: Properties, given: Mapping[str, PropertyValue]
    ) -> dict[str, PropertyValue]:
        answer = {
            name: value
            for name, value in outputs.items()
            if name in resource_type.all_inputs | resource_type.all_outputs
        }
        if resource_type.retag:
            answer["tagsAll"] = _tags_all(self.cloud, resource_type, inputs)
        if "region" not in answer:
            answer["region"] = self.cloud.region
        return outputs_of(answer, given)


def _resource_type(urn: str) -> ResourceType:
    token = urn.split("::")[-2].rpartition("$")[2]
    resource_type = RESOURCE_TYPES.get(token)
    if resource_type is None:
        raise UnknownTypeError(
            f"the lab's provider does not support the resource type {token}: add it to lab/provider/resource_types/"
        )
    return resource_type


def _inputs(resource_type: ResourceType, properties: Mapping[str, PropertyValue]) -> Properties:
    given = {name: value for name, value in plain_map(properties).items() if name != _DEFAULTS_KEY}
    return {**resource_type.defaults, **given}


def _tags_all(cloud: Cloud, resource_type: ResourceType, inputs: Properties) -> Any:
    tags = inputs.get("tags")
    if tags is UNKNOWN:
        return UNKNOWN
    return cloud.tags_all(tags) if resource_type.retag else {}


def _merged(resource_type: ResourceType, found: Properties, inputs: Properties) -> Properties:
    """The state: what AWS says, with the inputs in the form in which they were given."""
    merged = {**found}
    for name, value in inputs.items():
        if name in resource_type.blocks and isinstance(found.get(name), Mapping) and isinstance(value, Mapping):
            merged[name] = {**found[name], **value}
        else:
            merged[name] = value
    return merged


def _name_stays(resource_type: ResourceType, request: api.DiffRequest, changed: set[str]) -> bool:
    """Whether the new resource would have the name of the old one, so that the old one must be deleted first."""
    if resource_type.naming is None or resource_type.naming.property in changed:
        return False
    filled = plain(request.new_inputs.get(_DEFAULTS_KEY)) or []
    prefix = resource_type.naming.prefix_property
    return resource_type.naming.property not in filled and not (prefix and prefix in request.new_inputs)


def _physical_name(naming: Naming, logical_name: str, seed: bytes) -> str:
    """The logical name and seven random hexadecimal digits, as the real provider's bridge does it."""
    suffix = f"-{random.Random(seed or None).getrandbits(28):07x}"
    name = logical_name.lower() if naming.lower_case else logical_name
    return name[: naming.max_length - len(suffix)] + suffix
