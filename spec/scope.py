"""The account, region and stack that an estate is limited to, and the names that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

from spec.settings import Settings
from spec.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The account, region and stack that the policies are limited to."""

    partition: str
    account: str
    region: str
    project: str
    stack: str
    artifact_bucket: str
    certificate_parameter: str | None = None
    permissions_boundary: str | None = None
    load_balancers: int = 1
    backup_copy_region: str | None = None

    @classmethod
    def of(cls, settings: Settings, *, partition: str, account: str, project: str, stack: str) -> Scope:
        return cls(
            partition=partition,
            account=account,
            region=settings.region,
            project=project,
            stack=stack,
            # Bucket names are global, so the default contains the account and the region.
            artifact_bucket=settings.artifact_bucket or f"{project}-{stack}-{account}-{settings.region}",
            certificate_parameter=settings.load_balancer.certificate_parameter,
            permissions_boundary=settings.permissions_boundary,
            load_balancers=settings.load_balancer.count,
            backup_copy_region=settings.backups.copy_region,
        )

    def parameter_arn(self, path: str, region: str | None = None) -> str:
        """ARN of a parameter, in the stack's region or another; `path` begins with a slash."""
        return f"arn:{self.partition}:ssm:{region or self.region}:{self.account}:parameter{path}"

    def bucket_arn(self, bucket: str) -> str:
        return f"arn:{self.partition}:s3:::{bucket}"

    @property
    def backup_bucket(self) -> str:
        return f"{self.project}-{self.stack}-backups-{self.account}-{self.region}"

    @property
    def backup_copy_bucket(self) -> str | None:
        """The bucket in the second region; None: there is no second region."""
        if self.backup_copy_region is None:
            return None
        return f"{self.project}-{self.stack}-backups-{self.account}-{self.backup_copy_region}"

    @property
    def backup_secrets_path(self) -> str:
        """The path of the parameters that outlive the stack, without a trailing slash."""
        return f"/{self.project}-backups/{self.stack}"

    @property
    def permissions_boundary_arn(self) -> str | None:
        """ARN of the policy that limits every role of the stack; None: none does."""
        if self.permissions_boundary is None:
            return None
        return f"arn:{self.partition}:iam::{self.account}:policy/{self.permissions_boundary}"

    def launch_template_name(self, tier: Tier) -> str:
        """Of the host of a tier that operations launch."""
        return f"{self.project}-{self.stack}-{tier}"

    @property
    def alarm_prefix(self) -> str:
        """How the names of the stack's alarms begin. CloudWatch limits its calls by name, not by tag."""
        return f"{self.project}-{self.stack}-"

    @property
    def alert_topic_name(self) -> str:
        return f"{self.project}-{self.stack}-alerts"

    @property
    def alert_topic_arn(self) -> str:
        """Known before the topic exists, so that user data is known at preview."""
        return f"arn:{self.partition}:sns:{self.region}:{self.account}:{self.alert_topic_name}"
