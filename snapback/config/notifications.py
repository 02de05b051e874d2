"""The settings of being told: hooks around tasks, pings of a monitor, and the log."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from snapback.config.fields import Strict

NONE = "none"
TASK = "{task}"

Text = Annotated[str, Field(min_length=1)]
TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
PingUrl = Annotated[str, Field(pattern=r"^(none|https?://[^\s/?#]+([/?]\S*)?)$")]


class TaskHooks(Strict):
    """Whom to tell of a task. `none` in `tasks`: nobody, of that one."""

    on_start: Text | None = Field(
        None, description="a command line that sh runs here before the task begins"
    )
    on_success: Text | None = Field(
        None, description="one that it runs when the task has ended with the exit code 0"
    )
    on_failure: Text | None = Field(
        None, description="one that it runs when the task has ended with any other"
    )
    ping_url: PingUrl | None = Field(
        None,
        repr=False,
        json_schema_extra={"secret": True},
        description="the URL of a check in the manner of healthchecks.io: asked for with `/start` "
        "behind it before the task begins, as it is when it went well, with `/fail` when not; "
        "`{task}` in it stands for the task's name",
    )


class Hooks(TaskHooks):
    """Whom to tell when a task begins and ends. Off by default, and off in dry runs."""

    timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        30, description="seconds that each command, and each ping, may take"
    )
    tasks: dict[TaskName, TaskHooks] = Field(
        default_factory=dict, description="what differs for some tasks, by their names"
    )

    def of(self, task: str, *, only_looks: bool = False) -> TaskHooks:
        """Answer what is in force for a task.

        :param only_looks: the task only looks: it pings no URL that it would share with tasks that
            do something, since that would call their backups good.
        """
        own = self.tasks.get(task, TaskHooks())
        found = {name: getattr(own, name) or getattr(self, name) for name in TaskHooks.model_fields}
        if only_looks and own.ping_url is None and TASK not in (self.ping_url or ""):
            found["ping_url"] = None
        in_force = {name: value for name, value in found.items() if value not in (None, NONE)}
        if url := in_force.get("ping_url"):
            in_force["ping_url"] = url.replace(TASK, quote(task))
        return TaskHooks(**in_force)


class Logging(Strict):
    """What happened, line by line, for later. Off by default."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="how much: lines that are less grave are left out"
    )
    file: Text | None = Field(None, description="the file to append to")
    format: Literal["text", "json"] = Field(
        "text", description="the file's lines: `text`, or `json`, an object each"
    )
    rotate_mib: Annotated[int, Field(ge=1, le=100_000)] = Field(
        10, description="the file is begun anew when it has so many MiB"
    )
    rotate_keep: Annotated[int, Field(ge=1, le=1000)] = Field(
        5, description="how many old ones are kept, as file.1, file.2 and so on"
    )
    syslog: Text | None = Field(
        None, description="the syslog daemon's socket, `/dev/log`, or `host:port`, by UDP"
    )
    journald: Text | None = Field(
        None,
        description="the systemd journal's socket, `/run/systemd/journal/socket`; there lines have "
        "fields, as `SNAPBACK_RUN`",
    )
