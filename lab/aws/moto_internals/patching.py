"""What the changes to moto need: a lock, EC2's errors, and how to replace something in moto."""

from __future__ import annotations

import threading
from ipaddress import IPv4Network

PUBLIC_RANGE = IPv4Network("203.0.113.0/24")
LOCK = threading.RLock()


def replace(owner: object, name: str, value: object) -> None:
    """Replace something in moto. :raises AttributeError: when moto has nothing of that name."""
    getattr(owner, name)
    setattr(owner, name, value)


def client_error(code: str, message: str) -> Exception:
    from moto.ec2.exceptions import EC2ClientError

    return EC2ClientError(code, message)
