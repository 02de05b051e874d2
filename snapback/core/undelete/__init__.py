"""Decides which deleted snapshots are restored from the Recycle Bin."""
