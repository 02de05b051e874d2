"""Walking all of a file system of a host, by a script that runs there."""

from __future__ import annotations

from snapback.core.disks.survey import Survey, read_survey
from snapback.core.text import abridged
from snapback.errors import NotMoved
from snapback.ssh.host import Completed, Host
from snapback.ssh.scripts import run_python

_LONGEST_S = 24 * 3600.0


def walk(host: Host, task: str, what: str) -> Completed:
    """Run the script; see :mod:`snapback.ssh.walk_script`."""
    return run_python(host, "walk_script.py", task, what, timeout_s=_LONGEST_S)


def said_of(done: Completed) -> str:
    """Return what a script that failed said of that, in one line."""
    return abridged(done.stderr) or "it said nothing"


def survey_of(host: Host, folder: str) -> Survey:
    """Return what rsync can't carry of the file system that is mounted on a folder.

    :raises NotMoved: not all of it can be read.
    """
    done = walk(host, "survey", folder)
    survey = read_survey(done.stdout)
    if done.returncode or not survey:
        raise host.error(
            f"not all of {folder} can be looked at: {said_of(done)}",
            "see what its kernel says of the disk",
            NotMoved,
        )
    return survey
