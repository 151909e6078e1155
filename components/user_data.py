"""The user data of a host: a short bootstrap that fetches its tier's bundle, as text that a person can read."""

from __future__ import annotations

from components.host_files import CLOUD_INIT_DIR, Context, render
from spec.errors import EXIT_USAGE, HaError

TEMPLATE = CLOUD_INIT_DIR / "user-data.yaml.j2"
LIMIT_BYTES = 4096
"""EC2 allows 16 KB: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""


def user_data(context: Context) -> str:
    """The host's user data. :raises HaError: (exit 2) over our limit."""
    text = render(TEMPLATE, context)
    if (size := len(text.encode())) > LIMIT_BYTES:
        raise HaError(
            f"user data of {context.host.name} is {size} bytes: {LIMIT_BYTES} at most, so that a person can read it",
            where=str(TEMPLATE.relative_to(CLOUD_INIT_DIR.parent)),
            fix="move what it does into the bundle",
            exit_code=EXIT_USAGE,
        )
    return text
