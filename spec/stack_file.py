"""From a stack's configuration to `Settings`. All mistakes are reported at once, in the words of the stack file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from spec.errors import EXIT_USAGE, HaError, Problem, SettingsError
from spec.project import PROJECT
from spec.settings import Settings

# In names of roles (38 characters with a tier), of the bucket (no capitals, no underscores) and of the topic (no dots).
STACK_NAME = re.compile(r"[a-z][a-z0-9-]{0,18}[a-z0-9]")
SETTINGS_KEY = f"{PROJECT}:settings"
REGION_KEY = "aws:region"


# Settings of older stack files that had one allowed value, which is still accepted.
RETIRED: Mapping[tuple[str, ...], object] = {("load_balancer", "kind"): "haproxy", ("database", "count"): 2}


def stack_file(project_dir: Path, stack: str) -> Path:
    return project_dir / f"Pulumi.{stack}.yaml"


def found_stacks(project_dir: Path) -> list[str]:
    """The stacks that have a file in a folder, by name."""
    return sorted(path.name.split(".")[1] for path in project_dir.glob("Pulumi.*.yaml"))


def read_stack_config(project_dir: Path, stack: str) -> dict[str, Any]:
    """The `config` section of a stack's file. :raises HaError: (exit 2) when it is missing or not YAML."""
    check_stack_name(stack)
    path = stack_file(project_dir, stack)
    if not path.is_file():
        stacks = found_stacks(project_dir)
        raise HaError(
            f"there is no stack {stack!r}",
            where=path.name,
            fix=f"use one of: {', '.join(stacks)}" if stacks else "write Pulumi.<stack>.yaml first",
            exit_code=EXIT_USAGE,
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path.name}, line {mark.line + 1}" if mark else path.name
        detail = getattr(error, "problem", None) or "it cannot be read"
        raise HaError(
            f"the stack file is not YAML: {detail}", where=where, fix="fix its syntax", exit_code=EXIT_USAGE
        ) from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise HaError(
            "the stack file has no config section",
            where=path.name,
            fix="add one, as in Pulumi.dev.yaml",
            exit_code=EXIT_USAGE,
        )
    return config


def load_settings(project_dir: Path, stack: str) -> Settings:
    """The settings in a stack's file. :raises HaError: (exit 2) with all mistakes."""
    config = read_stack_config(project_dir, stack)
    source = stack_file(project_dir, stack).name
    check_keys(config, source=source)
    return parse_settings(config.get(SETTINGS_KEY), config.get(REGION_KEY), source=source)


def check_stack_name(stack: str) -> None:
    """:raises HaError: (exit 2) for a name that AWS does not allow in the names of the stack's resources, and for one
    with which policies would take its artifact bucket for another stack's backups.
    """
    if "-backups-" in f"{stack}-":
        raise HaError(
            f"{_shown(stack)} is not a valid stack name: its artifact bucket would pass for the backups of another",
            where="the names of buckets",
            fix="choose a name without -backups",
            exit_code=EXIT_USAGE,
        )
    if not STACK_NAME.fullmatch(stack):
        raise HaError(
            f"{_shown(stack)} is not a valid stack name: 2 to 20 small letters, digits and hyphens, a letter first",
            where="the names of the stack's bucket, roles and topic contain it",
            fix="choose another name",
            exit_code=EXIT_USAGE,
        )


def check_keys(keys: Iterable[object], *, source: str) -> None:
    """:raises SettingsError: for a key of this project that nothing reads. Keys of other packages are ignored."""
    unknown = [k for k in map(str, keys) if k.partition(":")[0] == PROJECT and k != SETTINGS_KEY]
    if unknown:
        raise SettingsError(
            source, [Problem(path=k, given="an unknown key", allowed=f"did you mean {SETTINGS_KEY}?") for k in unknown]
        )


def parse_settings(settings: object, region: object, *, source: str) -> Settings:
    """Validated settings from a stack's `ha:settings` and `aws:region`. :raises SettingsError: with all mistakes."""
    if not isinstance(settings, Mapping):
        raise SettingsError(
            source, [Problem(path=SETTINGS_KEY, given=_shown(settings), allowed="a mapping of settings")]
        )
    if "region" in settings:
        raise SettingsError(
            source, [Problem(path="region", given="an unknown setting", allowed=f"set the region by {REGION_KEY}")]
        )
    try:
        return Settings.model_validate({**_without_retired(settings), "region": region})
    except ValidationError as invalid:
        raise SettingsError(source, [_problem(error) for error in invalid.errors(include_url=False)]) from None


def _without_retired(settings: Mapping[str, object]) -> dict[str, object]:
    kept = dict(settings)
    for (name, key), value in RETIRED.items():
        group = kept.get(name)
        if isinstance(group, Mapping) and group.get(key) == value:
            kept[name] = {k: v for k, v in group.items() if k != key}
    return kept


# pydantic's error types in the words of a stack file. Limits are filled in from the error.
_ALLOWED = {
    "string_type": "text (in quotes where it looks like a number)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of settings",
    "model_attributes_type": "a mapping of settings",
    "finite_number": "a finite number",
    "too_long": "at most {max_length} of them",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
}


def _problem(error: ErrorDetails) -> Problem:
    location = [part for part in error["loc"] if part != "[key]"]
    path = REGION_KEY if location == ["region"] else ".".join(map(str, location))
    kind = error["type"]
    if (only := RETIRED.get(tuple(map(str, location)))) is not None:
        return Problem(
            path=path, given=_shown(error["input"]), allowed=f"no setting any more, always {only}: remove it"
        )
    if kind == "extra_forbidden":
        return Problem(path=path, given="an unknown setting", allowed=_nearest(str(location[-1]), _siblings(location)))
    if kind == "missing" or (location == ["region"] and error["input"] is None):
        return Problem(path=path, given="nothing", allowed="it must be set")
    if kind == "value_error":
        reason = str(error["ctx"]["error"])
        # The message of a rule between settings names them and their values.
        if not location or isinstance(error["input"], Mapping | BaseModel):
            return Problem(path=path or SETTINGS_KEY, given="this combination", allowed=reason)
        return Problem(path=path, given=_shown(error["input"]), allowed=reason)
    return Problem(path=path, given=_shown(error["input"]), allowed=_allowed(error))


def _allowed(error: ErrorDetails) -> str:
    words = _ALLOWED.get(error["type"])
    return words.format(**error.get("ctx", {})) if words else error["msg"]


def _siblings(location: Sequence[int | str]) -> list[str]:
    """The known names in the group of an unknown one."""
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        group = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if group is None:
            return []
        model = group
    return sorted(name for name in model.model_fields if (model, name) != (Settings, "region"))


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of: {', '.join(names)}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
