"""What a program declares, as the estimate sees it. Imports nothing of the project: it also reads other revisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COMPONENT_PREFIX = "ha:"
ENGINE_PREFIX = "pulumi:"
AWS_PROVIDER = "pulumi:providers:aws"


@dataclass(frozen=True)
class Resource:
    """One resource of a program.

    :ivar component: the logical names of the components around it, outermost first: `hosts/app1`; empty at the top.
    :ivar inputs: as sent to the provider, keys in camelCase.
    """

    type: str
    name: str
    component: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Registration:
    """One registration, as the program sent it; `parent` and `depends_on` are URNs, `provider` a URN and an id."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    protect: bool
    delete_before_replace: bool
    depends_on: tuple[str, ...]
    urn: str
    retain_on_delete: bool = False
    provider: str = ""

    @property
    def is_component(self) -> bool:
        return self.type.startswith(COMPONENT_PREFIX)


def is_default(provider: str) -> bool:
    """Whether a provider of this name is the engine's own one, of all that names no other."""
    return provider.startswith("default")


def provider_resources(registrations: Sequence[Registration]) -> list[Resource]:
    """What the provider makes: without components and the engine's own, such as the stack itself.

    Declarations of the AWS provider stay. What belongs to one that the program made has its region among its inputs, as
    if it were declared there: other prices may hold in it.
    The order of registrations varies from run to run, so the result is sorted by component, type and name.
    """
    by_urn = {r.urn: r for r in registrations}

    def path(urn: str) -> str:
        parent = by_urn.get(urn)
        if parent is None or not parent.is_component:
            return ""
        above = path(parent.parent)
        return f"{above}/{parent.name}" if above else parent.name

    regions = {
        r.urn: r.inputs.get("region") for r in registrations if r.type == AWS_PROVIDER and not is_default(r.name)
    }

    def inputs(registration: Registration) -> Mapping[str, Any]:
        region = regions.get(registration.provider.rpartition("::")[0])
        return {"region": region, **registration.inputs} if region else registration.inputs

    found = [
        Resource(type=r.type, name=r.name, component=path(r.parent), inputs=inputs(r))
        for r in registrations
        if not r.is_component and (r.type == AWS_PROVIDER or not r.type.startswith(ENGINE_PREFIX))
    ]
    return sorted(found, key=lambda d: (d.component, d.type, d.name))
