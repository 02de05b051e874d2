"""Every setting, as one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from snapback.config.accounts import Account, all_differ
from snapback.config.check import Check
from snapback.config.fields import Minutes, RegionName, Strict, TagKey, TagValue, nothing_is_empty
from snapback.config.freeze import Freeze
from snapback.config.hosts import HostSettings, Login, Override, Ssh
from snapback.config.notifications import Hooks, Logging
from snapback.config.replication import Replication
from snapback.config.restore import Restore
from snapback.config.retention import Retention
from snapback.config.temporary import Temporary
from snapback.config.verify import Verify
from snapback.core.model import Snapshot
from snapback.core.trim.policy import Policy

ExecutorAddress = Annotated[str, Field(pattern=r"^(tcp|tls|ws|wss)://[^/\s]+(/\S*)?$")]


class Region(Login):
    """What is particular to a region. What it says of logging in goes before `ssh`."""

    retention: Retention = Field(
        default_factory=Retention,
        description="counts that differ from `retention` in this region",
    )


class Settings(Strict):
    """Every setting, with its default."""

    tag_name: TagKey = Field(
        "Earmarking", description="the earmark: instances with this tag are backed up"
    )
    tag_value: TagValue = Field("production", description="the earmark's value")
    regions: dict[RegionName, Annotated[Region, BeforeValidator(nothing_is_empty)]] | None = Field(
        None,
        min_length=1,
        description="the regions in use; left out: all that are enabled for the account",
    )
    accounts: Annotated[list[Account], AfterValidator(all_differ)] = Field(
        default_factory=list,
        description="the accounts to work in, each by a role; left out: the one of the AWS chain's "
        "own credentials",
    )
    executor: ExecutorAddress | None = Field(
        None,
        description="the Dask scheduler that hands the work out to many machines: "
        "`tcp://scheduler:8786`; left out: all is done on this one",
    )
    ssh: Ssh = Field(default_factory=Ssh, description="how hosts are reached")
    overrides: list[Override] = Field(
        default_factory=list, description="what differs for the instances with certain tags"
    )
    freeze: Freeze = Field(
        default_factory=Freeze, description="how file systems are frozen for consistent backups"
    )
    minutes_for_snap: Minutes = Field(60, description="how long to wait for a snapshot to complete")
    minutes_for_detach: Minutes = Field(
        15, description="how long to wait for a temporary volume to detach"
    )
    stall_minutes: Minutes = Field(
        10,
        description="a transfer or a verification has failed when it and its disks have not moved "
        "for so long",
    )
    exclude_tag: TagKey = Field(
        "snapback:exclude", description="a volume with this tag is left out, whatever its value"
    )
    retention: Retention = Field(
        default_factory=Retention, description="how many periods keep a snapshot each"
    )
    retention_tag: TagKey = Field(
        "Retention", description="the tag that chooses one of `retentions` by its name"
    )
    retentions: dict[str, Retention] = Field(
        default_factory=dict, description="named retentions, chosen by the retention tag"
    )
    fade_after_days: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="a volume that is gone and has had no new snapshot for so many days thins out "
        "by the calendar; left out: never",
    )
    max_delete: Annotated[int, Field(ge=0, le=100)] = Field(
        50,
        description="the brake: percent of a volume's days (of over 20) that may lose their last "
        "snapshot in one trimming",
    )
    replication: Replication = Field(
        default_factory=Replication, description="how snapshots get to other regions"
    )
    destinations: dict[RegionName, list[RegionName]] = Field(
        default_factory=dict,
        description="region -> the regions that its volumes should have replicas in",
    )
    check: Check = Field(
        default_factory=Check, description="when `check` calls a volume's backups good enough"
    )
    temporary: Temporary = Field(
        default_factory=Temporary, description="the temporary instances that move data"
    )
    verify: Verify = Field(default_factory=Verify, description="how snapshots are verified")
    restore: Restore = Field(default_factory=Restore, description="how instances are restored")
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        32, description="calls at the same time, in each region"
    )
    quiet: bool = Field(False, description="print nothing where all went well")
    hooks: Hooks = Field(
        default_factory=Hooks, description="whom to tell when a task begins and ends"
    )
    logging: Logging = Field(
        default_factory=Logging, description="what happened, line by line, for later"
    )
    deletion_log: str = Field(
        "~/.local/state/snapback/deletions.jsonl",
        min_length=1,
        description="where every deletion is written down, as JSON lines",
    )

    def policy(self, region: str, name: str | None = None) -> Policy | str:
        """Answer the retention of a region, or the named one; in words if none is named so."""
        default = self.retention.over(Policy(fade_after_days=self.fade_after_days))
        if name is not None:
            named = self.retentions.get(name)
            if named is None:
                return f"no retention is named {name!r} (tag {self.retention_tag})"
            return named.over(default)
        if self.regions and region in self.regions:
            return self.regions[region].retention.over(default)
        return default

    def policy_of(self, newest: Snapshot) -> Policy | str:
        """Return the retention of a timeline, by its newest snapshot's place and tags.

        In words why there is none, where its tag names one that isn't configured.
        """
        return self.policy(newest.place.region, newest.tags.get(self.retention_tag))

    def for_host(self, region: str, tags: Mapping[str, str]) -> HostSettings:
        """Answer what is in force for an instance: overrides, then its region, then all instances'.

        :param tags: the instance's.
        """
        overrides = [override for override in self.overrides if override.matches(tags)]
        of_region = [self.regions[region]] if self.regions and region in self.regions else []
        return HostSettings.first_of([*overrides, *of_region, self.ssh, self.freeze, self.verify])

    @property
    def first_tags(self) -> tuple[str, ...]:
        """The keys that are cloned first where not all tags find room, the most important first."""
        return self.tag_name, self.retention_tag, "Name"
