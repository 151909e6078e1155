"""The maintenance page: what ha-maintenance writes, and what a real HAProxy answers by it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from components.host_files import CLOUD_INIT_DIR
from spec import ports
from tests.unit.cloud_init.rendering import PAIRS, files_of, program
from tests.unit.cloud_init.running_haproxy import CONFIG, LOOPBACK, MAINTENANCE, TIMEOUT_S, Balancer, balancer
from tests.unit.cloud_init.simulated_host import SimulatedHost

WHY = "Rows deleted at 14:05 come back"
LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PATIENCE_S = 30.0
JSON = ("Accept", "application/json")
maintenance = program("lb/files/usr/local/lib/ha/maintenance.py")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's files are in a folder, and no HAProxy runs."""
    monkeypatch.setattr(maintenance, "PAGE", CLOUD_INIT_DIR / "lb/files/usr/local/share/ha/maintenance.html")
    monkeypatch.setattr(maintenance, "METRICS", tmp_path / "metrics/maintenance.prom")
    monkeypatch.setattr(maintenance, "MAP", tmp_path / "maintenance.map")
    monkeypatch.setattr(maintenance, "MASTER", str(tmp_path / "master.sock"))
    monkeypatch.setattr(maintenance, "running", lambda: False)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balancer]:
    patient = {"load_balancer": {**PAIRS["load_balancer"], "server_timeout_ms": 20_000}}  # with requests that wait
    with balancer(tmp_path_factory.mktemp("haproxy"), **{**PAIRS, **patient}) as running:
        yield running


@pytest.fixture
def lb(shared: Balancer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Balancer]:
    """A running load balancer that the program works on."""
    monkeypatch.setattr(maintenance, "MAP", shared.folder / "maintenance.map")
    monkeypatch.setattr(maintenance, "MASTER", str(shared.folder / "master.sock"))
    monkeypatch.setattr(maintenance, "running", lambda: True)
    monkeypatch.setattr(shared, "bad", lambda _: False)
    shared.received.clear()
    yield shared
    maintenance.off()


def left_s() -> float:
    return (LATER - datetime.now(UTC)).total_seconds()


def on(until: datetime = LATER, why: str = WHY) -> None:
    maintenance.main(["on", f"--until={until.isoformat()}", f"--why={why}"])


def printed(capsys: pytest.CaptureFixture[str], *given: str) -> dict[str, Any]:
    maintenance.main(list(given))
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def workers(*, without: str = "") -> list[str]:
    """HAProxy's workers, as soon as its master answers and the newest is another one."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with suppress(OSError):
            found: list[str] = maintenance.workers()
            if found and found[0] != without:
                return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def reload(lb: Balancer) -> None:
    """As systemd reloads it, until the new worker serves."""
    newest = workers()[0]
    os.kill(lb.master, signal.SIGUSR2)
    workers(without=newest)


@pytest.mark.parametrize("port", [ports.HTTP, ports.HTTPS])
def test_visitors_get_a_page_that_says_why_and_until_when(lb: Balancer, port: int) -> None:
    on()
    answer = lb.ask("/events?page=2", port=port)
    assert answer.code == 503
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert abs(int(answer.headers["retry-after"]) - left_s()) < PATIENCE_S
    assert f"<p>{WHY}</p>" in answer.body
    assert (
        f'expected back by <time datetime="{LATER:%Y-%m-%dT%H:%M:%SZ}">{LATER:%-d %B %Y, %H:%M} UTC</time>.'
        in answer.body
    )
    assert answer.body.startswith('<!doctype html> <html lang="en">')
    assert lb.received == []


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/api/events", "*/*"),
        ("/api/login", "text/html"),
        ("/x", "application/json"),
        ("/", "text/plain, Application/JSON"),
    ],
)
def test_programs_get_json(lb: Balancer, path: str, accept: str) -> None:
    on()
    answer = lb.ask(path, ("Accept", accept))
    assert (answer.code, answer.headers["content-type"]) == (503, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert abs(int(answer.headers["retry-after"]) - left_s()) < PATIENCE_S
    said = json.loads(answer.body)
    assert (said["error"], said["why"], said["until"]) == ("maintenance", WHY, f"{LATER:%Y-%m-%dT%H:%M:%SZ}")
    assert said["message"] == f"{WHY} The site is expected back by {LATER:%-d %B %Y, %H:%M} UTC."
    assert lb.received == []


def test_past_its_time_it_stays_and_says_so(lb: Balancer) -> None:
    on(LONG_AGO)
    answer = lb.ask("/")
    assert (answer.code, answer.headers["retry-after"]) == (503, "60")
    assert "This takes longer than planned: the site was expected back by <time" in answer.body
    assert "2 January 2026, 03:04 UTC" in answer.body
    assert "longer than planned" in json.loads(lb.ask("/api/x").body)["message"]


def test_it_turns_overdue_by_itself(lb: Balancer) -> None:
    on(datetime.now(UTC) + timedelta(seconds=2))
    deadline = time.monotonic() + PATIENCE_S
    while "longer" not in (answer := lb.ask("/")).body:
        assert answer.code == 503
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_whatever_the_method(lb: Balancer, method: str) -> None:
    on()
    visit = http.client.HTTPConnection(LOOPBACK, lb.local[ports.HTTP], timeout=TIMEOUT_S)
    visit.request(method, "/api/events", body=b"x" * 100_000 if method in ("POST", "PUT") else None)
    answer = visit.getresponse()
    assert answer.status == 503
    assert (answer.read() == b"") == (method == "HEAD")
    visit.close()
    assert lb.received == []


def test_health_and_what_the_other_load_balancer_asks_go_on(lb: Balancer) -> None:
    on()
    health = lb.ask("/api/health")
    assert (health.code, health.request is not None) == (200, True)
    assert lb.ask("/haproxy-alive").code == 200
    for path in ("/api/health/", "/API/health", "//api/health", "/api/health/../events", "/api/%68ealth"):
        assert lb.ask(path).code == 503, path
    visit = http.client.HTTPConnection(LOOPBACK, lb.local[ports.HTTP], timeout=TIMEOUT_S)
    visit.request("POST", "/api/health", body=b"x")
    assert visit.getresponse().status == 503
    visit.close()


def test_a_load_balancer_with_the_page_serves_although_no_application_does() -> None:
    """Or the public address would stay on a host that visitors cannot reach."""
    config = files_of("lb1", **PAIRS)[CONFIG]
    empty = f"{{ str(until),map({MAINTENANCE}) -m found }}"
    assert f"monitor fail if {{ nbsrv(application) eq 0 }} !{empty}" in config


def test_off_restores_service_at_once(lb: Balancer) -> None:
    on()
    assert lb.ask("/").code == 503
    maintenance.main(["off"])
    assert (lb.ask("/").code, lb.ask("/api/x").code) == (200, 200)
    maintenance.main(["off"])
    assert lb.ask("/").code == 200


def test_connections_that_are_open_get_it_with_their_next_request(lb: Balancer) -> None:
    visit = http.client.HTTPConnection(LOOPBACK, lb.local[ports.HTTP], timeout=TIMEOUT_S)
    for wanted in (200, 503, 200):
        on() if wanted == 503 else maintenance.off()
        visit.request("GET", "/")
        assert visit.sock is not None
        kept = visit.sock.getsockname()
        answer = visit.getresponse()
        answer.read()
        assert answer.status == wanted
    assert kept == visit.sock.getsockname(), "it was one connection"
    visit.close()


def test_requests_that_run_finish(lb: Balancer, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, go_on = Event(), Event()

    def waits(_: Any) -> bool:
        arrived.set()
        assert go_on.wait(PATIENCE_S)
        return False

    monkeypatch.setattr(lb, "bad", waits)
    codes: list[int] = []
    visitor = Thread(target=lambda: codes.append(lb.ask("/slow").code))
    visitor.start()
    assert arrived.wait(PATIENCE_S)
    on()
    assert lb.ask("/").code == 503
    go_on.set()
    visitor.join(PATIENCE_S)
    assert codes == [200]


def test_a_reload_keeps_it(lb: Balancer) -> None:
    on()
    reload(lb)
    assert WHY in lb.ask("/").body
    maintenance.off()
    reload(lb)
    assert lb.ask("/").code == 200


def test_a_worker_of_before_a_reload_has_it_too(lb: Balancer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It still has a visitor, whose connection may carry another request."""
    arrived, go_on = Event(), Event()

    def waits(request: Any) -> bool:
        if request.path == "/slow":
            arrived.set()
            assert go_on.wait(PATIENCE_S)
        return False

    monkeypatch.setattr(lb, "bad", waits)

    def visit() -> None:
        slow = http.client.HTTPConnection(LOOPBACK, lb.local[ports.HTTP], timeout=60)
        slow.request("GET", "/slow")
        slow.getresponse().read()
        slow.close()

    visitor = Thread(target=visit)
    visitor.start()
    assert arrived.wait(PATIENCE_S)
    reload(lb)
    both = workers()
    assert len(both) == 2
    on()
    wanted = maintenance.on_disk()
    assert [maintenance.held(one) for one in both] == [wanted, wanted]
    go_on.set()
    visitor.join(PATIENCE_S)


def test_a_reload_that_read_the_old_file_is_caught_up_with(lb: Balancer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The master forks a worker that has read the file just before it was written."""
    write = maintenance.write

    def late(path: Path, text: str) -> None:
        if path == maintenance.MAP and text:
            reload(lb)
        write(path, text)

    monkeypatch.setattr(maintenance, "write", late)
    on()
    assert lb.ask("/").code == 503


def test_text_is_text(lb: Balancer, capsys: pytest.CaptureFixture[str]) -> None:
    why = "<script>alert('x')</script> & \"why\"; %[src] \\ $why <<  ü 日本 # --- disable frontend web"
    on(why=why)
    body = lb.ask("/").body
    assert "<script>" not in body
    escaped = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;why&quot;; %[src] \\ $why &lt;&lt; &#252;"
    assert escaped in body
    assert json.loads(lb.ask("/", JSON).body)["why"] == why
    capsys.readouterr()
    assert printed(capsys, "show")["why"] == why


@pytest.mark.parametrize("why", ["x" * 200, "-v", "until 5", "'"])
def test_reasons_that_are_allowed(lb: Balancer, why: str) -> None:
    on(why=why)
    assert json.loads(lb.ask("/", JSON).body)["why"] == why


@pytest.mark.parametrize(
    "why", ["", " ", "x" * 201, "a\nb", "a\tb", "a\x1b[31m", "a\x00", "\u202eabc", "a\u2028b", "\udcff"]
)
def test_reasons_that_are_refused(why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        on(why=why)
    assert refused.value.code == 2
    assert "give 1 to 200 characters in one line" in capsys.readouterr().err
    assert not maintenance.MAP.exists()


@pytest.mark.parametrize(
    "until", ["", "soon", "2030-01-01T00:00:00", "2030-01-01", "2030-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
)
def test_times_that_are_refused(until: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        maintenance.main(["on", f"--until={until}", f"--why={WHY}"])
    assert refused.value.code == 2
    assert "time" in capsys.readouterr().err.splitlines()[-1]
    assert not maintenance.MAP.exists()


def test_it_says_what_visitors_get(lb: Balancer, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "show") == {"on": False}
    shown = {"on": True, "until": "2030-05-17T17:30:00Z", "why": WHY, "overdue": False}
    assert printed(capsys, "on", "--until=2030-05-17T19:30:00.5+02:00", f"--why= {WHY} ") == shown
    assert printed(capsys, "show") == shown
    # The file alone changes nothing for visitors.
    maintenance.MAP.write_text("")
    assert printed(capsys, "show") == shown
    assert printed(capsys, "off") == {"on": False}
    on(LONG_AGO)
    capsys.readouterr()
    assert printed(capsys, "show")["overdue"] is True


def test_a_haproxy_that_does_not_run_has_it_when_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on()
    kept = maintenance.MAP.read_text()
    assert maintenance.shown()["on"]
    with balancer(tmp_path) as lb:
        assert lb.ask("/").code == 503
        monkeypatch.setattr(maintenance, "running", lambda: True)
        assert maintenance.held(workers()[0]) == maintenance.on_disk()
        on(why="something else")
        assert "something else" in lb.ask("/").body
    assert kept != maintenance.MAP.read_text()


def test_a_haproxy_that_does_not_take_it_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "running", lambda: True)
    monkeypatch.setattr(maintenance, "SETTLE_S", 0.2)
    with pytest.raises(SystemExit, match="ha-maintenance: written, but HAProxy is not known to answer by it") as failed:
        on()
    assert "its master does not answer" in str(failed.value)


def test_the_alert_knows_the_time_until_visitors_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    on(LONG_AGO)
    assert maintenance.METRICS.read_text() == f"ha_maintenance_until_timestamp_seconds {LONG_AGO.timestamp():.0f}\n"
    assert maintenance.METRICS.stat().st_mode & 0o777 == 0o644
    monkeypatch.setattr(maintenance, "running", lambda: True)
    monkeypatch.setattr(maintenance, "SETTLE_S", 0.1)
    with pytest.raises(SystemExit):
        maintenance.main(["off"])
    assert maintenance.METRICS.exists()
    monkeypatch.setattr(maintenance, "running", lambda: False)
    maintenance.main(["off"])
    assert not maintenance.METRICS.exists()


def test_the_program_and_the_configuration_name_the_same_file() -> None:
    text = files_of("lb1")["/usr/local/lib/ha/maintenance.py"]
    assert f'MAP = Path("{MAINTENANCE}")' in text
    config = files_of("lb1")[CONFIG]
    assert set(re.findall(r"map\((.*?)\)", config)) == {MAINTENANCE}
    (longest,) = re.findall(r"hard-stop-after (\d+)s", config)
    assert float(longest) < maintenance.SETTLE_S


def test_an_answer_fits_into_a_line_of_a_map(tmp_path: Path) -> None:
    pages = maintenance.entries(LATER, "\U0001f600" * 200)
    assert max(map(len, pages.values())) < 8000
    assert all(value.isascii() and value.isprintable() for value in pages.values())


def test_the_set_up_keeps_it(tmp_path: Path) -> None:
    host = SimulatedHost(tmp_path, "lb1")
    host.stand_in("haproxy")
    host.replace_program("/usr/local/lib/ha/site-certificate")
    page = host.root / "etc/haproxy/maintenance.map"
    host.steps("40-haproxy")
    assert page.read_text() == ""
    page.write_text("until 5\n")
    host.did()
    host.steps("40-haproxy")
    assert page.read_text() == "until 5\n"
    assert host.did() == []


def test_a_bundle_brings_the_command_and_not_the_file() -> None:
    files = files_of("lb1", **PAIRS)
    assert MAINTENANCE not in files
    assert 'python3 /usr/local/lib/ha/maintenance.py "$@"' in files["/usr/local/sbin/ha-maintenance"]
    (page,) = re.findall(r'PAGE = Path\("(.*)"\)', files["/usr/local/lib/ha/maintenance.py"])
    assert "$why" in files[page]
