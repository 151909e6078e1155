"""A repository of one small program, which estimates compare this checkout with."""

from __future__ import annotations

import subprocess
from pathlib import Path

# A program of its own: it shares nothing with this checkout's but the project's name. What it prints is no part of what
# it declares.
PROGRAM = """
print("hello")
import pulumi, pulumi_aws as aws
from components import shape

class Network(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("ha:network:Network", "network", None, None)
        for n in range(shape.GATEWAYS):
            aws.ec2.NatGateway(f"nat{n}", subnet_id="s", opts=pulumi.ResourceOptions(parent=self))

Network()
aws.rds.Instance("db", instance_class="db.t3.small")
"""
STACK = """
config:
  aws:region: us-east-1
  ha:settings: {application: {release: app/build/a.tar.gz}}
"""


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *author, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def make_repository(folder: Path) -> None:
    """One commit on `main`."""
    (folder / "components").mkdir(parents=True)
    (folder / "components" / "__init__.py").touch()
    (folder / "components" / "shape.py").write_text("GATEWAYS = 2\n")
    (folder / "__main__.py").write_text(PROGRAM)
    (folder / "Pulumi.dev.yaml").write_text(STACK)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
