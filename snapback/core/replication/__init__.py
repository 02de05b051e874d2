"""Decide what a destination lacks; estimate and read the progress of transfers. Pure."""
