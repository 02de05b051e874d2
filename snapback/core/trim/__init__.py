"""Decide which snapshots are kept and which are deleted, with reasons. Pure."""
