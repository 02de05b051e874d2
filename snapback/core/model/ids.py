"""What the ids of EC2's resources, and the names of its regions, look like."""

from __future__ import annotations

import re

ACCOUNT_ID = re.compile(r"[0-9]{12}\Z", re.ASCII)
INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})\Z")
REGION_NAME = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+\Z")
SNAPSHOT_ID = re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})\Z")
VOLUME_ID = re.compile(r"vol-(?:[0-9a-f]{8}|[0-9a-f]{17})\Z")
