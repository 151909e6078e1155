"""The booted estate: healthy, served by both application hosts, reachable where it should be and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.waiting import eventually
from spec import ports
from spec.flows import FLOWS, WORLD
from spec.tiers import Tier
from tests.lab.estate.booted import Booted, Browser

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

HOSTS = ("app1", "app2", "cache1", "db1", "db2", "lb1", "monitor1")
EVERY_PORT = sorted({*ports.by_name().values(), 22, 111, 5001, 9999})

# Run on a host: which of the others answers at which port, and does something listen there (true)? A refusal (false)
# is an answer too: the packet came there.
KNOCK = """
import asyncio, json, sys
async def knock(host, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 2)
        writer.close()
    except ConnectionRefusedError:
        return [host, port, False]
    except (OSError, asyncio.TimeoutError):
        return None
    return [host, port, True]
async def main():
    asked = json.load(sys.stdin)
    print(json.dumps([a for a in await asyncio.gather(*(knock(h, p) for h, p in asked)) if a]))
asyncio.run(main())
"""


def test_status_says_that_all_is_well(booted: Booted) -> None:
    asked = booted.ha("--lab", "status", "--json")
    assert asked.exit_code == 0, asked.stdout
    status = json.loads(asked.stdout)
    assert status["healthy"] is True
    assert status["target"] == "lab"
    assert sorted(h["name"] for h in status["hosts"]) == list(HOSTS)
    assert all(h["healthy"] and h["state"] == "ready" for h in status["hosts"])
    assert {status["database"]["primary"], status["database"]["standby"]} == {"db1", "db2"}
    assert status["database"]["replication"] == "sync"
    assert status["cache"]["primary"] == "cache1"
    assert status["load_balancer"] == {"active": "lb1", "servers": {"app1": "UP", "app2": "UP"}, "maintenance": None}


def test_health_answers_with_the_servers_name_and_both_serve(booted: Booted, browser: Browser) -> None:
    answers = [browser.ask("GET", "/api/health") for _ in range(20)]
    assert {a.code for a in answers} == {200}
    assert {a.json()["server"] for a in answers} == {"app1", "app2"}
    assert all(a.json()["database"] and a.json()["redis"] for a in answers)


def test_https_answers_too(booted: Booted) -> None:
    done = booted.outside(*_https(booted, "/api/health"))
    assert json.loads(done.stdout)["status"] == "healthy"


def _https(booted: Booted, path: str) -> list[str]:
    address = next(i["PublicIpAddress"] for i in _instances(booted) if "PublicIpAddress" in i)
    # Self-signed unless the stack names a certificate.
    return ["curl", "--silent", "--insecure", "--max-time", "10", f"https://{address}{path}"]


def _instances(booted: Booted) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = booted.in_network(
        lambda: [i for r in booted.client("ec2").describe_instances()["Reservations"] for i in r["Instances"]]
    )
    return found


def test_a_session_and_an_event_made_on_one_server_hold_on_the_other(browser: Browser) -> None:
    browser.sign_in(of="app1")
    event = {"title": "Harvest festival", "startsAt": "2030-09-21T18:00:00Z", "place": "Town hall", "description": ""}
    created = browser.ask("POST", "/api/events", body=event, of="app1")
    assert (created.code, created.headers["x-served-by"]) == (201, "app1"), created.body
    assert browser.signed_in(of="app2")
    listed = browser.ask("GET", "/api/events", of="app2")
    assert listed.headers["x-served-by"] == "app2"
    mine = [e for e in listed.json()["events"] if e["id"] == created.json()["id"]]
    assert [e["title"] for e in mine] == ["Harvest festival"]
    assert browser.ask("DELETE", f"/api/events/{mine[0]['id']}", of="app2").code == 204
    assert browser.ask("GET", f"/api/events/{mine[0]['id']}", of="app1").code == 404


def test_without_signing_in_nothing_is_created(browser: Browser) -> None:
    assert browser.ask("POST", "/api/events", body={"title": "x"}).code in (401, 403)


def test_hosts_reach_each_other_exactly_where_the_flows_say(booted: Booted) -> None:
    addresses = {h.name: str(h.address) for h in booted.settings.plan_hosts()}
    for source in HOSTS:
        others = [(name, port) for name in HOSTS if name != source for port in EVERY_PORT]
        asked = json.dumps([[addresses[name], port] for name, port in others])
        answered = json.loads(booted.on_host(source, "python3", "-c", KNOCK, stdin=asked).stdout)
        names = {address: name for name, address in addresses.items()}
        found = {(names[address], port) for address, port, _ in answered}
        tier = Tier(source[:-1])
        allowed = {(f.target, f.port) for f in FLOWS if f.source == tier}
        # Who may reach the world at a port that the load balancer opens to the world may reach the load balancer.
        world = {f.port for f in FLOWS if f.source == tier and f.target == WORLD}
        allowed |= {(f.target, f.port) for f in FLOWS if f.source == WORLD and f.port in world}
        expected = {
            (name, port) for target, port in allowed for name in HOSTS if target == name[:-1] and name != source
        }
        assert found == expected, source
        listening = {(names[address], port) for address, port, listens in answered if listens}
        assert listening == expected, f"{source}: nothing listens at {expected - listening}"


def test_the_world_reaches_80_and_443_only(booted: Booted) -> None:
    address = next(i["PublicIpAddress"] for i in _instances(booted) if "PublicIpAddress" in i)
    asked = json.dumps([[address, port] for port in EVERY_PORT])
    done = booted.outside("sh", "-c", f"echo '{asked}' | python3 -c '{KNOCK}'")
    assert sorted((port, listens) for _, port, listens in json.loads(done.stdout)) == [(80, True), (443, True)]
    assert {(f.target, f.port) for f in FLOWS if f.source == WORLD} == {(Tier.LB, 80), (Tier.LB, 443)}


def test_metrics_are_not_for_the_world(browser: Browser) -> None:
    assert browser.ask("GET", "/metrics").code in (403, 404)


def test_metadata_needs_a_token(booted: Booted) -> None:
    for host in ("lb1", "app1", "db1"):
        argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://169.254.169.254/latest/meta-data/"]
        assert booted.on_host(host, *argv).stdout == "401"


TOKEN = (
    *("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "3"),
    *("--request", "PUT", "--header", "X-aws-ec2-metadata-token-ttl-seconds: 60"),
    "http://169.254.169.254/latest/api/token",
)


def test_root_gets_a_token_of_the_metadata_service(booted: Booted) -> None:
    assert booted.on_host("app1", *TOKEN).stdout == "200"


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="systemd enforces the service's IPAddressDeny by BPF, which is refused to the lab's hosts",
)
def test_the_application_gets_no_token_of_the_metadata_service(booted: Booted) -> None:
    group = booted.on_host("app1", "systemctl", "show", "event-manager", "-P", "ControlGroup").stdout.strip()
    user = "setpriv --reuid event-manager --regid event-manager --clear-groups"
    script = f'echo $$ > /sys/fs/cgroup{group}/cgroup.procs && exec {user} "$@"'
    seen = booted.on_host("app1", "sh", "-c", script, "sh", *TOKEN, check=False).stdout
    if seen not in ("000", "200"):  # another failure than the one that is expected
        pytest.fail(f"the request was not made as the application: {seen!r}", pytrace=False)
    assert seen == "000"


READ = "import boto3, sys; print(boto3.client('ssm', region_name='{}').get_parameter(Name='{}')['Parameter']['Type'])"


@pytest.mark.parametrize(
    ("host", "parameter", "may"),
    [
        ("lb1", "db/app-password", False),
        ("lb1", "app/ca", False),
        ("app1", "db/app-password", True),
        ("app1", "db/replication-password", False),
        ("app1", "db/ca", False),
        ("cache1", "app/session-secret", False),
        ("monitor1", "db/replication-password", False),
        ("db1", "cache/password", False),
        ("db1", "db/ca", True),
    ],
)
def test_a_role_reads_its_own_secrets_and_no_other_tiers(booted: Booted, host: str, parameter: str, may: bool) -> None:
    program = READ.format(booted.settings.region, f"/ha/dev/{parameter}")
    done = booted.on_host(host, "python3", "-c", program, check=False)
    if may:
        assert done.stdout.strip() == "SecureString", done.stderr
    else:
        assert "AccessDenied" in done.stderr


def test_nobody_overwrites_a_secret(booted: Booted) -> None:
    program = (
        "import boto3; boto3.client('ssm', region_name='us-east-1').put_parameter("
        "Name='/ha/dev/cache/password', Value='x', Type='SecureString', Overwrite=True)"
    )
    done = booted.on_host("cache1", "python3", "-c", program, check=False)
    assert "AccessDenied" in done.stderr


def test_commands_by_ssm_run_on_the_host(booted: Booted) -> None:
    instance = next(i["InstanceId"] for i in _instances(booted) if i["PrivateIpAddress"].endswith(".21"))

    def run() -> str:
        ssm = booted.client("ssm")
        sent = ssm.send_command(
            InstanceIds=[instance], DocumentName="AWS-RunShellScript", Parameters={"commands": ["hostname"]}
        )

        def ended() -> str:
            seen = ssm.get_command_invocation(CommandId=sent["Command"]["CommandId"], InstanceId=instance)
            return str(seen["StandardOutputContent"]) if seen["Status"] == "Success" else ""

        return eventually("the command ends", ended, deadline_s=30)

    assert booted.in_network(run).strip() == "db1"


def test_an_instance_that_is_stopped_goes_and_comes_back(booted: Booted) -> None:
    instance = next(i["InstanceId"] for i in _instances(booted) if {"Key": "ha:host", "Value": "app2"} in i["Tags"])
    booted.in_network(lambda: booted.client("ec2").stop_instances(InstanceIds=[instance]))

    def state_of(name: str) -> str:
        return next(p.stage for p in booted.lab.host_phases() if p.name == name)

    eventually("app2 is off", lambda: state_of("app2") == "stopped", deadline_s=60)
    seen = booted.status()
    assert not seen["healthy"]
    assert seen["load_balancer"]["servers"]["app2"] != "UP"
    booted.in_network(lambda: booted.client("ec2").start_instances(InstanceIds=[instance]))
    eventually("the estate is healthy again", lambda: booted.status()["healthy"], deadline_s=120, every_s=1)
