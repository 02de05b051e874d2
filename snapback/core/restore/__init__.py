"""Decide how volumes, images and instances are restored from snapshots. Pure."""
