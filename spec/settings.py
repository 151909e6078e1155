"""Every setting of a stack, typed. One structured value, `ha:settings`, in `Pulumi.<stack>.yaml`.

Validation needs no AWS and no files; the program checks the release and the user data separately. The defaults have the
shape of the guide (docs/guide.md).
"""

from __future__ import annotations

from decimal import Decimal
from ipaddress import IPv4Network
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from spec import limits
from spec.addresses import HostPlan, SubnetPlan, plan_hosts, plan_subnets
from spec.instance_types import Architecture, InstanceType, instance_type
from spec.tiers import Tier
from spec.timers import Timers

_PRIVATE_RANGES = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_DEBIAN_ACCOUNT = "136693071363"  # https://wiki.debian.org/Cloud/AmazonEC2Image

# Variables that the hosts' own files set; overriding one would break the host.
_RESERVED_ENVIRONMENT = frozenset(
    [
        "NODE_ENV",
        "SERVER_ID",
        "HOST",
        "PORT",
        "TLS_CERT_FILE",
        "TLS_KEY_FILE",
        "DATABASE_URL",
        "REDIS_URL",
        "REDIS_PASSWORD",
        "REDIS_CA_FILE",
        "SESSION_STORE",
        "SESSION_SECRET",
        "ADMIN_USER",
        "ADMIN_PASSWORD",
        "DRAIN_SECONDS",
        "TRUST_PROXY",
    ]
)


def _network(given: object) -> IPv4Network:
    if isinstance(given, IPv4Network):
        return given
    if not isinstance(given, str):
        raise ValueError("must be a network in quotes, such as 10.20.0.0/16")
    try:
        return IPv4Network(given)
    except ValueError as error:
        try:
            hint = f"; did you mean {IPv4Network(given, strict=False)}?"
        except ValueError:
            hint = ", such as 10.20.0.0/16"
        raise ValueError(f"not an IPv4 network ({error}){hint}") from None


PositiveMs = Annotated[int, Field(gt=0, le=3_600_000)]
VolumeGib = Annotated[int, Field(ge=4, le=16_384)]
Cidr = Annotated[IPv4Network, BeforeValidator(_network)]
# With a longer name a backup bucket could have more than the 63 characters of S3; AWS's longest has 14.
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", max_length=18)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _known_instance_type(name: str) -> str:
    try:
        instance_type(name)
    except KeyError as unknown:
        raise ValueError(unknown.args[0]) from None
    return name


class _Hosts(_Group):
    """A tier's hosts."""

    instance_type: str
    root_volume_gib: Annotated[int, Field(ge=8, le=16_384)] = 8  # the image's own size is 8 GiB

    _check_instance_type = field_validator("instance_type")(_known_instance_type)

    @property
    def machine(self) -> InstanceType:
        return instance_type(self.instance_type)


class ImageSettings(_Group):
    """The AMI, pinned by name: a newer one replaces hosts only when you change the name."""

    name: Annotated[str, Field(pattern=r"^debian-13-(amd64|arm64)-\d{8}-\d{4}$")] = "debian-13-amd64-20260914-2601"
    owner: Annotated[str, Field(pattern=r"^\d{12}$")] = _DEBIAN_ACCOUNT

    @property
    def architecture(self) -> Architecture:
        return "arm64" if "-arm64-" in self.name else "x86_64"


class NetworkSettings(_Group):
    """The VPC. `reserved_cidrs` are networks that it must not overlap, such as offices and peered VPCs."""

    cidr: Cidr = IPv4Network("10.20.0.0/16")
    zones: Annotated[tuple[str, ...], Field(strict=False, max_length=4)]
    nat_gateways: Annotated[int, Field(ge=1, le=4)] = 1
    reserved_cidrs: Annotated[tuple[Cidr, ...], Field(strict=False)] = ()

    @field_validator("zones")
    @classmethod
    def _two_zones(cls, zones: tuple[str, ...]) -> tuple[str, ...]:
        if len(zones) < 2:
            raise ValueError("name at least two zones, so that the estate survives the loss of one")
        if len(set(zones)) < len(zones):
            raise ValueError("name each zone once")
        return zones

    @model_validator(mode="after")
    def _private_and_apart(self) -> Self:
        if not any(self.cidr.subnet_of(private) for private in _PRIVATE_RANGES):
            raise ValueError(f"cidr {self.cidr} is public: use one within {', '.join(map(str, _PRIVATE_RANGES))}")
        if self.cidr.prefixlen < 16:
            raise ValueError(f"cidr {self.cidr} is too large for a VPC: /16 at most")
        for reserved in self.reserved_cidrs:
            if self.cidr.overlaps(reserved):
                raise ValueError(f"cidr {self.cidr} overlaps {reserved} of reserved_cidrs")
        if self.nat_gateways > len(self.zones):
            raise ValueError(
                f"nat_gateways {self.nat_gateways}: at most one for each zone, and there are {len(self.zones)} zones"
            )
        return self


_LEAST_RETRIES = 3
_CONNECTIONS_PER_MIB = 5  # a connection may need 100 KB with TLS; connections may use half of the memory


class LoadBalancerSettings(_Hosts):
    """HAProxy. `active-backup` is the guide's primary and `backup`; `active-active` uses all application hosts.

    `count` 2: in two zones; the public address moves to the active one.

    `server_timeout_ms` limits the time to the first byte of an answer for requests that may be retried on another host:
    those that only read, and those with an Idempotency-Key header. Raise it when the application has slow endpoints;
    visitors of a host that hangs then wait that much longer. `write_timeout_ms` is the time of all other requests,
    which are sent once, and of all attempts together. It must be longer than a failover of the database: the
    application waits for the database that long, less the time of one statement.
    """

    instance_type: str = "t3.micro"
    count: Annotated[int, Field(ge=1, le=2)] = 1
    mode: Literal["active-active", "active-backup"] = "active-active"
    certificate_parameter: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_.\-/]+$")] | None = None
    redirect_to_https: bool = False
    max_connections: Annotated[int, Field(ge=100, le=100_000)] = 4096
    connect_timeout_ms: PositiveMs = 300
    server_timeout_ms: PositiveMs = 1500
    write_timeout_ms: PositiveMs = 12_000
    client_timeout_ms: PositiveMs = 50_000
    queue_timeout_ms: PositiveMs = 2000
    check_interval_ms: PositiveMs = 500

    @property
    def retries(self) -> int:
        """How often a request may be retried: attempts of `server_timeout_ms` each fill `write_timeout_ms`."""
        return max(_LEAST_RETRIES, ceil(self.write_timeout_ms / self.server_timeout_ms) - 1)

    @property
    def database_wait_ms(self) -> int:
        """How long the application lets requests wait for the database: it must answer before HAProxy's timeout."""
        return max(0, self.write_timeout_ms - limits.STATEMENT_MS)

    @property
    def redis_wait_ms(self) -> int:
        """How long the application lets requests wait for Redis: then their statements still have time to run."""
        return min(limits.REDIS_WAIT_MS, self.database_wait_ms)

    @model_validator(mode="after")
    def _available(self) -> Self:
        most = self.machine.memory_mib * _CONNECTIONS_PER_MIB
        if self.max_connections > most:
            raise ValueError(
                f"max_connections {self.max_connections} is too high: the memory of {self.instance_type} allows {most}"
            )
        return self


class ApplicationSettings(_Hosts):
    """The application's hosts and the release that they run: any Node application that answers `health_path`.

    `release` is a file in this checkout, built by `make setup`, or the digest of a release that was uploaded before: 64
    hexadecimal digits, the SHA-256 of the uncompressed tar. `metrics_path` null: the application has no metrics.
    `tls` false: the application cannot serve TLS itself. `environment` is added to its `.env` (no secrets).
    """

    instance_type: str = "t3.medium"
    count: Annotated[int, Field(ge=2, le=400)] = 2
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")] = "event-manager"
    release: Annotated[str, Field(pattern=r"^([0-9a-f]{64}|[A-Za-z0-9][A-Za-z0-9._/-]*\.tar\.gz)$")] = (
        "app/build/event-manager-1.0.0.tar.gz"
    )
    command: Annotated[str, Field(pattern=r"^node [^\n'\"\\]+$")] = "node dist/main.js"
    health_path: Annotated[str, Field(pattern=r"^/[^\s\"']*$")] = "/api/health"
    metrics_path: Annotated[str, Field(pattern=r"^/[^\s\"']*$")] | None = "/metrics"
    tls: bool = True
    environment: dict[
        Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")], Annotated[str, Field(pattern=r"^[^\n\r]*$")]
    ] = {}

    @field_validator("environment")
    @classmethod
    def _not_the_hosts_own(cls, environment: dict[str, str]) -> dict[str, str]:
        if reserved := sorted(_RESERVED_ENVIRONMENT & set(environment)):
            raise ValueError(f"the host itself sets {', '.join(reserved)}: remove it here")
        return environment


class DatabaseSettings(_Hosts):
    """The PostgreSQL pair. `volume_gib` also limits the WAL that the slot of a lost standby keeps."""

    instance_type: str = "t3.small"
    volume_gib: VolumeGib = 20
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")] = "app"
    user: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")] = "app"
    max_connections: Annotated[int, Field(ge=50, le=1000)] = 100
    pool_size_per_host: Annotated[int, Field(ge=2, le=200)] = 20


class MonitorSettings(_Hosts):
    """The failover monitor with Prometheus and Alertmanager."""

    instance_type: str = "t3.small"
    volume_gib: VolumeGib = 10
    metrics_retention_days: Annotated[int, Field(ge=1, le=365)] = 15


class CacheSettings(_Hosts):
    """Redis for sessions. `max_memory_percent` of the host's memory is for keys; a rewrite of its file needs the rest.

    `count` 2: a master and a replica in two zones, and three sentinels (the third on the monitor), of which two decide.
    """

    instance_type: str = "t3.micro"
    count: Annotated[int, Field(ge=1, le=2)] = 1
    volume_gib: VolumeGib = 8
    max_memory_percent: Annotated[int, Field(ge=10, le=75)] = 50


class BackupSettings(_Group):
    """Backups of the database in a bucket that outlives the stack.

    `retention_days` is how far one can go back. `copy_region` is a second region, to which S3 copies the backups.
    """

    retention_days: Annotated[int, Field(ge=1, le=90)] = 14
    full_every_days: Annotated[int, Field(ge=1, le=30)] = 7
    incremental_every_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 6
    copy_region: Region | None = None

    @property
    def lock_days(self) -> int:
        """How long nobody can delete a backup: a full one is needed until the next one is older than the retention."""
        return self.retention_days + self.full_every_days + 2


class AlertSettings(_Group):
    """An address that is subscribed to the SNS topic of alerts. It must confirm the subscription."""

    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None


class SsmAgentSettings(_Group):
    """The package of the Session Manager agent, which Debian's image does not have: a version and its checksums.

    AWS publishes no checksums. These are from a public cookbook's integration test of the same URL. A host whose
    download differs starts without the agent and reports that.
    """

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+\.\d+$")] = "3.3.5226.0"
    sha256: dict[Architecture, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = {
        "x86_64": "777df4e0ac4bbc8d7d1b159db76cdb6614666bcc73141874414b8be68fb9cba3",
        "arm64": "2ed75ecacf633af8b48568f1d468a4849ad006ff901f63761ecb9b0daa8d90d2",
    }


class Settings(_Group):
    """A stack's settings. `protect` prevents the deletion of data, artifacts and the public address.

    `permissions_boundary` names a policy of the account that limits the hosts' roles. A deployer with the policies of
    docs/aws.md may create roles only with `ha-<stack>-boundary`.
    """

    region: Region
    network: NetworkSettings
    image: ImageSettings = ImageSettings()
    load_balancer: LoadBalancerSettings = LoadBalancerSettings()
    application: ApplicationSettings = ApplicationSettings()
    database: DatabaseSettings = DatabaseSettings()
    monitor: MonitorSettings = MonitorSettings()
    cache: CacheSettings = CacheSettings()
    backups: BackupSettings = BackupSettings()
    alerts: AlertSettings = AlertSettings()
    timers: Timers = Timers()
    ssm_agent: SsmAgentSettings = SsmAgentSettings()
    artifact_bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")] | None = None
    permissions_boundary: Annotated[str, Field(pattern=r"^[A-Za-z0-9+=,.@_-]{1,128}$")] | None = None
    budget_monthly_usd: Annotated[
        Decimal,
        Field(gt=0, strict=False, allow_inf_nan=False),
        WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),  # pydantic's would allow a string
    ] = Decimal(215)
    protect: bool = True

    @field_validator("region")
    @classmethod
    def _names_in_amazonaws_com(cls, region: str) -> str:
        # https://docs.aws.amazon.com/general/latest/gr/rande.html
        if region.startswith("cn-") or "-iso" in region:
            raise ValueError("a region whose services have names in amazonaws.com, by which hosts reach them")
        return region

    @field_validator("budget_monthly_usd", mode="before")
    @classmethod
    def _number(cls, given: object) -> object:
        if isinstance(given, bool | str):
            raise ValueError("must be a number of dollars")
        return given

    @field_validator("artifact_bucket", mode="before")
    @classmethod
    def _one_label(cls, given: object) -> object:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
        if isinstance(given, str) and "." in given:
            raise ValueError("no dots: hosts reach the bucket by a name of S3 whose certificate covers one label")
        return given

    @model_validator(mode="after")
    def _zones_of_the_region(self) -> Self:
        for zone in self.network.zones:
            if zone[:-1] != self.region or not zone[-1:].isalpha():
                raise ValueError(
                    f"network.zones: {zone} is not a zone of aws:region {self.region}, such as {self.region}a"
                )
        return self

    @model_validator(mode="after")
    def _backups_are_copied_elsewhere(self) -> Self:
        if self.backups.copy_region is None:
            return self
        if self.backups.copy_region == self.region:
            raise ValueError(f"backups.copy_region {self.region} is the stack's own: name another region, or none")
        try:
            self._names_in_amazonaws_com(self.backups.copy_region)
        except ValueError as error:
            raise ValueError(f"backups.copy_region {self.backups.copy_region}: {error}") from None
        return self

    @model_validator(mode="after")
    def _image_fits_the_machines(self) -> Self:
        for tier in Tier:
            machine = self.hosts_of(tier).machine
            if machine.architecture != self.image.architecture:
                raise ValueError(
                    f"{tier.traits.settings_group}.instance_type {machine.name} is {machine.architecture}, but "
                    f"image.name {self.image.name} is for {self.image.architecture}"
                )
        return self

    @model_validator(mode="after")
    def _hosts_fit_the_network(self) -> Self:
        if not self._fits(self.network.cidr):
            prefixes = range(self.network.cidr.prefixlen, 15, -1)
            enough = next((p for p in prefixes if self._fits(self.network.cidr.supernet(new_prefix=p))), 16)
            raise ValueError(
                f"network.cidr {self.network.cidr} is too small for these hosts: /{enough} or larger, up to /16"
            )
        return self

    def _fits(self, cidr: IPv4Network) -> bool:
        try:
            plan_hosts(plan_subnets(cidr, self.network.zones), self._counts)
        except ValueError:
            return False
        return True

    @model_validator(mode="after")
    def _pools_fit_the_database(self) -> Self:
        pools = self.application.count * self.database.pool_size_per_host
        reserved = limits.SUPERUSER_RESERVED_CONNECTIONS + limits.RESERVED_CONNECTIONS
        free = self.database.max_connections - reserved
        if pools > free:
            raise ValueError(
                f"database.pool_size_per_host {self.database.pool_size_per_host} for {self.application.count} "
                f"application hosts is {pools} connections, but database.max_connections "
                f"{self.database.max_connections} less {reserved} reserved ones is {free}"
            )
        return self

    @model_validator(mode="after")
    def _draining_is_noticed(self) -> Self:
        noticed_ms = self.load_balancer.check_interval_ms * limits.CHECKS_TO_FALL + limits.CHECK_TIMEOUT_MS
        if self.timers.application_drain_s * 1000 < noticed_ms:
            raise ValueError(
                f"timers.application_drain_s {self.timers.application_drain_s} is too short: the load balancer notices "
                f"only after {noticed_ms} ms ({limits.CHECKS_TO_FALL} x load_balancer.check_interval_ms "
                f"{self.load_balancer.check_interval_ms} + {limits.CHECK_TIMEOUT_MS})"
            )
        return self

    def hosts_of(self, tier: Tier) -> _Hosts:
        """The settings of a tier's hosts."""
        hosts = getattr(self, tier.traits.settings_group)
        assert isinstance(hosts, _Hosts)
        return hosts

    def data_volume_gib(self, tier: Tier) -> int | None:
        """Size of the data volume of each host of a tier; None if the tier has none."""
        if not tier.traits.data_volume:
            return None
        group: Any = self.hosts_of(tier)
        size: int = group.volume_gib
        return size

    def host_count(self, tier: Tier) -> int:
        """The number of hosts in a tier."""
        group: Any = self.hosts_of(tier)
        count: int = tier.traits.hosts or group.count
        return count

    def is_pair(self, tier: Tier) -> bool:
        """Whether a tier's hosts get the files in its `pair` folder."""
        return self.host_count(tier.traits.paired_with or tier) > 1

    def plan_subnets(self) -> tuple[SubnetPlan, ...]:
        return plan_subnets(self.network.cidr, self.network.zones)

    @property
    def _counts(self) -> dict[Tier, int]:
        return {tier: self.host_count(tier) for tier in reversed(Tier)}

    def plan_hosts(self) -> tuple[HostPlan, ...]:
        """The hosts that the program makes."""
        return tuple(host for host in self._all_hosts() if not host.tier.traits.on_demand)

    def plan_on_demand(self) -> tuple[HostPlan, ...]:
        """The hosts that operations launch."""
        return tuple(host for host in self._all_hosts() if host.tier.traits.on_demand)

    def _all_hosts(self) -> tuple[HostPlan, ...]:
        return plan_hosts(self.plan_subnets(), self._counts)
