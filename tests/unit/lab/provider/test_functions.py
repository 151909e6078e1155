"""The functions against the SDK of the real provider."""

from __future__ import annotations

import inspect
import re

import pulumi_aws
import pytest

from lab.provider.functions import FUNCTIONS


@pytest.mark.parametrize("token", FUNCTIONS)
def test_a_function_uses_the_real_providers_token(token: str) -> None:
    module, _, name = token.split(":")[1].partition("/")
    python_name = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
    package = pulumi_aws if module == "index" else getattr(pulumi_aws, module)
    assert token in inspect.getsource(getattr(package, python_name))
