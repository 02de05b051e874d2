"""What the reasons of a restore are about."""

from __future__ import annotations

from enum import Enum, auto


class RestoreTopic(Enum):
    """What was decided, or what can't be, when a restore is planned."""

    ARCHITECTURE = auto()
    DEVICE = auto()
    ENCRYPTION = auto()
    INSTANCE_PROFILE = auto()
    INSTANCE_TYPE = auto()
    KEY_PAIR = auto()
    MISSING_VOLUMES = auto()
    PLATFORM = auto()
    ROOT_VOLUME = auto()
    SECURITY_GROUP = auto()
    SETTINGS = auto()
    SNAPSHOT = auto()
    SUBNET = auto()
    VIRTUALIZATION = auto()
    VOLUME_TYPE = auto()
    ZONE = auto()
