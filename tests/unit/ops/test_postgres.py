"""The one way to ask a host's PostgreSQL."""

from __future__ import annotations

import shlex

import pytest

from components.host_files import host_files
from ops.postgres import HA_POSTGRES, psql_argv, psql_command
from tests.unit.cloud_init.rendering import estate


def test_each_statement_is_one_argument() -> None:
    assert psql_argv("postgres", "select 1", "checkpoint")[-6:] == [
        *("-d", "postgres", "-c", "select 1", "-c", "checkpoint")
    ]
    assert psql_argv("postgres")[-2:] == ["-d", "postgres"]


def test_a_shell_sees_the_same_words() -> None:
    statement = """select $$it's "quoted"$$ || '`$HOME`'"""
    assert shlex.split(psql_command("events", statement)) == psql_argv("events", statement)


@pytest.mark.parametrize("host", ["db1", "db2", "monitor1"])
def test_the_hosts_have_the_command(host: str) -> None:
    commands = {file.path for file in host_files(estate()[host]) if file.executable}
    assert HA_POSTGRES in commands
