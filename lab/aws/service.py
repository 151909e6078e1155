"""The AWS API of the lab: moto behind layers of our own, served on one loopback port.

A request passes the layers in order (the gate passes or denies it, Run Command answers its own) and ends at moto.
After every call that may have changed something `on_change` is called, so that hosts and network follow at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, cast

from lab.aws import moto_internals
from lab.aws.answers import AwsError, answer_error
from lab.aws.request import AwsRequest, read_request
from lab.aws.snapshot import Clients

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from botocore.loaders import Loader
    from werkzeug.serving import BaseWSGIServer

log = logging.getLogger(__name__)

_POLL_S = 0.05
"""How often the server checks whether it has to end."""
OPERATOR_ACCESS_KEY = "AKIALABOPERATOR00000"
# Whoever reaches the loopback port is the operator: this key protects nothing.
OPERATOR_SECRET_KEY = "lab-operator"

OnChange = Callable[[str, str, Collection[str]], None]
"""Called after a call that may have changed something, with its service and operation, e.g. ("ec2", "StopInstances"),
and the ids of the instances that it named."""


class Layer(Protocol):
    """Something that a request passes on its way to moto."""

    def handle(self, request: AwsRequest, start_response: StartResponse) -> Iterable[bytes] | None:
        """Answer the request, or return None to let it pass. :raises AwsError: to refuse it."""


def operator_environment(endpoint_url: str, region: str) -> dict[str, str]:
    """What a program of the operator needs in its environment to talk to the lab's AWS."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": OPERATOR_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": OPERATOR_SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def client(service: str, endpoint_url: str, region: str) -> Any:
    """A boto3 client of the operator. It ignores the machine's own AWS configuration."""
    import boto3
    import botocore.session
    from botocore.config import Config

    # A session of its own: boto3's default one is shared and not safe to use from several threads.
    # The descriptions of the services are shared: they are large, and to read EC2's takes a quarter of a second.
    core = botocore.session.get_session()
    core.register_component("data_loader", _descriptions())
    session = boto3.session.Session(
        botocore_session=core,
        aws_access_key_id=OPERATOR_ACCESS_KEY,
        aws_secret_access_key=OPERATOR_SECRET_KEY,
        region_name=region,
    )
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path"},
        proxies={},
        max_pool_connections=8,
    )
    # The session's own overloads are one for each service; the name is only known at run time here.
    return cast(Any, session).client(service, endpoint_url=endpoint_url, config=config)


@cache
def _descriptions() -> Loader:
    import botocore.loaders

    return botocore.loaders.create_loader()


class AwsService:
    """The API as a context manager: started on entering, ended with all that it holds on leaving."""

    def __init__(
        self,
        *,
        region: str,
        layers: Sequence[Layer] = (),
        on_change: OnChange | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`port` 0 takes a free one. `layers` may be set until the first request (`service.layers = [...]`)."""
        self.region = region
        self.layers = list(layers)
        self.on_change = on_change
        self._bind = (address, port)
        self._server: BaseWSGIServer | None = None
        self._clients: dict[str, Any] = {}
        self._clients_lock = threading.Lock()
        self._stack = ExitStack()
        self._moto = moto_internals.wsgi_app()

    def __enter__(self) -> Self:
        from werkzeug.serving import make_server

        moto_internals.reset()
        self._server = make_server(*self._bind, self, threaded=True, request_handler=_quiet_handler())
        self._stack.callback(self._server.server_close)
        serve = partial(self._server.serve_forever, poll_interval=_POLL_S)
        thread = threading.Thread(target=serve, name="aws-api", daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._server.shutdown)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self._stack.close()
        for one in self._clients.values():
            one.close()
        self._clients.clear()
        moto_internals.reset()
        return False

    @property
    def url(self) -> str:
        """Where the API is, e.g. `http://127.0.0.1:4566`."""
        if self._server is None:
            raise RuntimeError("the AWS API is not started")
        return f"http://{self._server.host}:{self._server.port}"

    def client(self, service: str) -> Any:
        """A boto3 client of the operator, one for each service: they may be shared, and take a while to make."""
        with self._clients_lock:
            if service not in self._clients:
                self._clients[service] = client(service, self.url, self.region)
            return self._clients[service]

    def snapshot_clients(self) -> Clients:
        """The clients that `read_snapshot` needs."""
        return Clients(ec2=self.client("ec2"), iam=self.client("iam"))

    def register_image(self, *, name: str, owner: str, architecture: str) -> str:
        """Make a machine image known by its exact name and owner; returns its id."""
        return moto_internals.register_image(region=self.region, name=name, owner=owner, architecture=architecture)

    def report_snapshot(self, snapshot_id: str, state: str, percent: int) -> None:
        """Say how far a snapshot of a volume is: `pending`, `completed` or `error`."""
        moto_internals.report_snapshot(region=self.region, snapshot_id=snapshot_id, state=state, percent=percent)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """One request (WSGI)."""
        request = read_request(environ)
        # Before moto, which reads the body to its end.
        changes = not request.read_only
        named = request.instance_ids if changes else ()
        try:
            answer = self._answer(request, start_response)
        except AwsError as error:
            return answer_error(request, error, start_response)
        except Exception as error:
            log.exception("the AWS API failed at %s %s", request.service, request.operation)
            failure = AwsError("InternalFailure", f"the lab's AWS API failed: {error!r}", 500)
            return answer_error(request, failure, start_response)
        if changes and self.on_change is not None:
            self.on_change(request.service, request.operation, named)
        return answer

    def _answer(self, request: AwsRequest, start_response: StartResponse) -> Iterable[bytes]:
        for layer in self.layers:
            answer = layer.handle(request, start_response)
            if answer is not None:
                return answer
        if request.virtual_hosted:
            _to_path_style(request)
        # A list: only when its answer is complete has moto done its work, and may `on_change` be called.
        return list(self._moto(request.environ, start_response))


def _to_path_style(request: AwsRequest) -> None:
    """Turn `bucket.s3.region.amazonaws.com/key` into `/bucket/key`: moto is set to look at paths only."""
    environ = request.environ
    for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
        if name in environ:
            environ[name] = f"/{request.bucket}{environ[name]}"
    environ["HTTP_HOST"] = str(environ["HTTP_HOST"]).removeprefix(f"{request.bucket}.")


def _quiet_handler() -> type[Any]:
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class Handler(MotoRequestHandler):
        """Requests are not logged line by line; errors are, where they happen."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            log.debug("%s %s -> %s", self.command, self.path, code)

    return Handler
