"""The usage assumptions of `cost/usage.yaml`: quantities that no program declares, each with its unit and reason."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spec.errors import EXIT_USAGE, HaError

USAGE_FILE = Path(__file__).resolve().parent / "usage.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Assumption(_Strict):
    """A quantity a month and why it is assumed."""

    quantity: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    unit: str
    reason: Annotated[str, Field(min_length=10)]


class Gigabytes(Assumption):
    unit: Literal["GB"]


class GigabyteMonths(Assumption):
    unit: Literal["GB-months"]


class Requests(Assumption):
    unit: Literal["requests"]


class Ratio(Assumption):
    """Of something else, which the unit names."""

    unit: Literal["of the volume", "GB a GB that the database uses"]


class Notifications(Assumption):
    unit: Literal["notifications"]


class Hours(Assumption):
    unit: Literal["hours"]


class CapacityUnits(Assumption):
    unit: Literal["LCU"]


class BucketUsage(_Strict):
    storage_gb: GigabyteMonths
    storage_of_database: Ratio | None = None
    put_requests: Requests
    get_requests: Requests


class Usage(_Strict):
    """All assumptions. `buckets` by the logical name of the bucket."""

    internet_out_gb: Gigabytes
    cross_zone_gb: Gigabytes
    nat_gb_per_host: Gigabytes
    database_used: Ratio
    replicated_gb: Gigabytes
    replicated_of_database: Ratio
    restore_hours: Hours
    buckets: Mapping[str, BucketUsage]
    notifications: Requests
    emails: Notifications
    load_balancer_lcu: CapacityUnits


def load(path: Path = USAGE_FILE) -> Usage:
    """The assumptions in a file. :raises HaError: (exit 2) naming each that is refused."""
    try:
        return Usage.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refused(str(error)) from None
    except ValidationError as invalid:
        found = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in invalid.errors(include_url=False)
        )
        raise _refused(found) from None


def _refused(why: str) -> HaError:
    return HaError(
        f"invalid usage assumption: {why}", where="cost/usage.yaml", fix="fix the file", exit_code=EXIT_USAGE
    )
