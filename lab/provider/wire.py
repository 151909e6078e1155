"""Assets in the engine's messages: made plain dictionaries before the SDK reads a message, and assets again after it.

The SDK drops the hash of an asset and refuses one that has only a hash, which is what the engine sends for an asset of
a state. Here an asset is a plain dictionary: its hash, and its path or text if known.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

ASSET_KEY = "__asset"
_SIGNATURE_KEY = rpc._special_sig_key
_STRUCTS_OF_REQUESTS = ("olds", "news", "properties", "inputs")
_STRUCTS_OF_RESPONSES = ("properties", "inputs")


def hide_assets(request: Any) -> None:
    """Turn the assets of a request into plain dictionaries."""
    for name in _STRUCTS_OF_REQUESTS:
        if name in request.DESCRIPTOR.fields_by_name:
            _rename(getattr(request, name), _SIGNATURE_KEY, ASSET_KEY)


def show_assets(response: Any) -> None:
    """Turn those dictionaries of a response into assets again."""
    for name in _STRUCTS_OF_RESPONSES:
        if name in response.DESCRIPTOR.fields_by_name:
            _rename(getattr(response, name), ASSET_KEY, _SIGNATURE_KEY)


def is_asset(value: Any) -> bool:
    """Whether a plain value is an asset."""
    return isinstance(value, dict) and ASSET_KEY in value


def _rename(struct: struct_pb2.Struct, old: str, new: str) -> None:
    fields = struct.fields
    if old in fields and fields[old].string_value == rpc._special_asset_sig:
        fields[new].string_value = rpc._special_asset_sig
        del fields[old]
        return
    for value in fields.values():
        _rename_in(value, old, new)


def _rename_in(value: struct_pb2.Value, old: str, new: str) -> None:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        _rename(value.struct_value, old, new)
    elif kind == "list_value":
        for item in value.list_value.values:
            _rename_in(item, old, new)
