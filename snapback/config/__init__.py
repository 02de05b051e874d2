"""The settings: read from YAML, validated as a whole, each with a default.

The file is the first of: that of ``--config``; ``$SNAPBACK_CONFIG``; ``snapback.yaml`` beside the
fabfile, or in the current folder; ``~/.config/snapback/config.yaml``;
``/etc/snapback/config.yaml``. Without one all is by the defaults, by which nothing is deleted.
Credentials are never in it: they come from the AWS chain.
"""

from snapback.config.accounts import Account
from snapback.config.check import Check, CheckOverride
from snapback.config.finding import DEFAULTS, VARIABLE, Choice, Source, find, named_file
from snapback.config.freeze import Freeze
from snapback.config.hosts import HostSettings, Login, Override, Ssh
from snapback.config.notifications import NONE, Hooks, Logging, TaskHooks
from snapback.config.reading import QUIET_VARIABLE, Loaded, load, salvage
from snapback.config.replication import Replication
from snapback.config.restore import Restore, RestoreInto
from snapback.config.retention import Retention
from snapback.config.settings import Region, Settings
from snapback.config.temporary import Temporary
from snapback.config.verify import Verify

__all__ = [
    "DEFAULTS",
    "NONE",
    "QUIET_VARIABLE",
    "VARIABLE",
    "Account",
    "Check",
    "CheckOverride",
    "Choice",
    "Freeze",
    "Hooks",
    "HostSettings",
    "Loaded",
    "Logging",
    "Login",
    "Override",
    "Region",
    "Replication",
    "Restore",
    "RestoreInto",
    "Retention",
    "Settings",
    "Source",
    "Ssh",
    "TaskHooks",
    "Temporary",
    "Verify",
    "find",
    "load",
    "named_file",
    "salvage",
]
