"""Sets the lab up part by part, serves until it is told to end, and takes it down in reverse order."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from lab import process
from lab.aws.model import AwsSnapshot
from lab.aws.service import AwsService
from lab.aws.snapshot import read_snapshot
from lab.hosts.reconciler import HostReconciler, HostSettings
from lab.network import services, topology
from lab.network.fabric import Fabric
from lab.supervisor import aws, control
from lab.supervisor.config import StatePaths, SupervisorConfig
from lab.supervisor.operations import Operations

log = logging.getLogger("lab")


def main(arguments: Sequence[str]) -> int:
    """Runs the lab of a state directory until SIGTERM or a request to end."""
    state, network, *ports = arguments
    paths = StatePaths(Path(state))
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    sockets = {int(port): int(descriptor) for port, descriptor in (pair.split("=") for pair in ports)}
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    config = SupervisorConfig.from_json(paths.config.read_text(encoding="utf-8"))
    with ExitStack() as stack:
        try:
            _set_up(stack, paths, config, int(network), sockets, ending)
        except Exception:
            log.exception("the lab could not be set up")
            return 1
        log.info("the lab is up")
        ending.wait()
        log.info("the lab ends")
    return 0


def _set_up(
    stack: ExitStack,
    paths: StatePaths,
    config: SupervisorConfig,
    network: int,
    sockets: dict[int, int],
    ending: threading.Event,
) -> None:
    _private_mounts(paths)
    programs = paths.private / "programs"
    programs.mkdir()
    fabric = Fabric(paths.private)
    stack.enter_context(services.uplink(network, paths.hosts_logs / "uplink.log"))
    authority = services.new_authority()

    api = stack.enter_context(AwsService(region=config.region, port=topology.API_PORT))
    for image in config.machine_images:
        api.register_image(name=image.name, owner=image.owner, architecture=image.architecture)
    clients = api.snapshot_clients()
    published = services.PublishedPorts(fabric, sockets, programs)

    def read() -> AwsSnapshot:
        snapshot = read_snapshot(clients)
        published.lead_to(aws.public_address(snapshot))
        return snapshot

    reconciler = HostReconciler(
        HostSettings(
            state=paths.state,
            image=config.image,
            certificate_authority=authority.cert_pem.bytes().decode(),
            powered_off=lambda instance_id: aws.powered_off(api, instance_id),
            report_snapshot=api.report_snapshot,
        ),
        fabric,
        read,
    )
    stack.callback(reconciler.close)
    regions = aws.regions()
    stack.enter_context(services.Resolver(fabric, regions, programs, paths.hosts_logs / "resolver.log").running())
    stack.enter_context(services.tls_proxy(authority, regions, programs))
    stack.enter_context(published.running())
    copies = stack.enter_context(aws.connected(api, reconciler, fabric))
    operations = Operations(config, reconciler, fabric, copies, ending)
    stack.enter_context(operations.watching())
    reconciler.start()
    stack.enter_context(control.serve(paths.control, operations.handlers()))


def _private_mounts(paths: StatePaths) -> None:
    """Mounts that only the lab sees: a small file system of its own, and a /run that its programs may write to."""
    private = paths.private
    private.mkdir()
    process.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=64m", "event-manager-ha", private])
    for name in ("run", "work"):
        (private / name).mkdir(mode=0o755)
    # systemd-nspawn leaves directories and locks in /run: the overlay keeps them off the machine's.
    options = f"lowerdir=/run,upperdir={private}/run,workdir={private}/work"
    process.run(["mount", "-t", "overlay", "-o", options, "overlay", "/run"])
    os.environ["TMPDIR"] = str(paths.state / "tmp")
    (paths.state / "tmp").mkdir()
