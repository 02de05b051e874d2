"""The settings of reaching hosts: how to log in, whom to trust, what differs by tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from snapback.config.fields import Strict, TagValue

Address = Literal["public_dns", "private_ip", "public_ip", "instance_id"]
Text = Annotated[str, Field(min_length=1)]
TimeLimit = Annotated[float, Field(gt=0, le=3600)]


class Login(Strict):
    """How to log in to a host."""

    username: Text | None = Field(
        None,
        description="the user to log in as; left out: as the ssh_config says, or your own name",
    )
    key_filename: Text | None = Field(
        None,
        description="the private key to log in with; left out: as the ssh_config says, the "
        "agent's, or those in ~/.ssh",
    )
    address: Address | None = Field(
        None,
        description="where an instance is reached; left out: its public DNS name, or else its "
        "private IP address",
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="the port of its sshd; left out: as the ssh_config says, or 22"
    )
    gateway: Text | None = Field(
        None,
        description="the jump hosts to go through, as ProxyJump: `user@host:port`, several with "
        "commas; left out: as the ssh_config says",
    )


class Ssh(Login):
    """How hosts are reached, unless their region or an override says otherwise."""

    host_keys: Literal["known_hosts", "console", "accept-new"] = Field(
        "known_hosts",
        description="whose host keys are trusted: those in `known_hosts`; those that the "
        "instance's console output shows; or any that is met for the first time",
    )
    known_hosts: Text = Field("~/.ssh/known_hosts", description="the file with the known host keys")
    remembered_keys: Text = Field(
        "~/.local/state/snapback/host_keys",
        description="where keys read from console outputs are remembered, by instance id",
    )
    ssh_config: Text | None = Field(
        None, description="the ssh_config to use; left out: ~/.ssh/config and /etc/ssh/ssh_config"
    )
    connect_timeout_s: TimeLimit = Field(
        10, description="seconds within which the login must have succeeded, jump hosts and all"
    )
    ssh_timeout_attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        30, description="how often a host that boots is tried"
    )
    ssh_timeout_interval: TimeLimit = Field(
        10, description="seconds between two tries of a host that boots"
    )


class Override(Login):
    """What differs for the instances with certain tags.

    All overrides that match an instance apply; of several that give the same option, the first.
    """

    match: dict[Annotated[str, Field(min_length=1, max_length=128)], TagValue] = Field(
        min_length=1, description="the tags, all of which an instance must have, with these values"
    )
    pre_freeze: Text | None = Field(
        None,
        description="a command line run as root, by sh, before its file systems are frozen; it has "
        "ended when they are",
    )
    post_thaw: Text | None = Field(None, description="the same, after they were thawed")
    verify_command: Text | None = Field(
        None,
        description="a command line that sh runs as root in each of its file systems when its "
        "snapshots are verified",
    )
    consistent: bool | None = Field(
        None,
        description="whether its backups are to be consistent, whatever the task says",
    )

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Answer whether an instance with these tags is meant."""
        return all(tags.get(name) == value for name, value in self.match.items())


class HostSettings(Login):
    """What is in force for one instance."""

    pre_freeze: str | None = None
    post_thaw: str | None = None
    verify_command: str | None = None
    consistent: bool | None = None

    @classmethod
    def first_of(cls, particular_first: Sequence[Strict]) -> HostSettings:
        """Answer each setting as the first says that gives it."""
        return cls(
            **{
                name: next(
                    (
                        value
                        for one in particular_first
                        if (value := getattr(one, name, None)) is not None
                    ),
                    None,
                )
                for name in cls.model_fields
            }
        )
