"""The provider's access to the API."""

from __future__ import annotations

import pytest

from lab.provider.cloud import Cloud, NotTheLabError


def test_the_provider_never_calls_anything_but_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("", "https://ec2.us-east-1.amazonaws.com", "http://10.0.0.1:4566"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(NotTheLabError):
            Cloud("us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert Cloud("us-east-1").endpoint_url == "http://127.0.0.1:4566"
