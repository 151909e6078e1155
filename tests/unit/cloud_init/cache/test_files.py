"""What the files of a cache promise."""

from __future__ import annotations

import subprocess

from tests.unit.cloud_init.rendering import estate, files_of


def redis(**settings: object) -> dict[str, str]:
    lines = files_of("cache1", **settings)["/etc/redis/redis.conf"].splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def test_redis_speaks_tls_alone_and_keeps_what_it_is_told() -> None:
    config = redis()
    assert (config["port"], config["tls-port"]) == ("0", "6379")
    assert (config["appendonly"], config["appendfsync"], config["save"]) == ("yes", "everysec", '""')
    assert config["dir"] == "/srv/data/redis"
    address = estate()["cache1"].host.address
    assert config["bind"] == f"{address} 127.0.0.1"


def test_redis_memory_is_a_share_of_the_hosts() -> None:
    step = files_of("cache1", cache={"instance_type": "t3.small", "max_memory_percent": 40})
    line = next(line for line in step["/usr/local/lib/ha/steps/40-redis"].splitlines() if line.startswith("echo "))
    script = line.partition(" | ha-place ")[0]
    done = subprocess.run(["bash", "-c", f"memory=1900; {script}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "maxmemory 760mb"
    assert redis()["include"] == "/etc/redis/memory.conf"
    assert redis()["maxmemory-policy"] == "volatile-ttl"


def test_the_redis_digest_is_that_of_the_password() -> None:
    """Redis wants SHA-256 in hexadecimal; `sha256sum` must not see a newline."""
    step = files_of("cache1")["/usr/local/lib/ha/steps/40-redis"]
    line = next(line for line in step.splitlines() if line.startswith("digest="))
    done = subprocess.run(
        ["bash", "-c", f"password=secret; {line}; echo $digest"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"


def test_the_application_cannot_empty_or_reconfigure_redis() -> None:
    step = files_of("cache1")["/usr/local/lib/ha/steps/40-redis"]
    user = next(line for line in step.splitlines() if line.startswith("user default "))
    assert "-@admin" in user.split()
    assert "-@dangerous" in user.split()
