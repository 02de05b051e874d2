"""Decide how instances are backed up: the sets, what is frozen, EC2's limits, the tags. Pure."""
