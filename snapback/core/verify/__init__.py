"""Decide which snapshots are verified; turn what an examination found into a verdict. Pure."""
