"""All of snapback's tasks, for ``fab``: ``fab --list`` shows them."""

from snapback.tasks import ns

__all__ = ["ns"]
