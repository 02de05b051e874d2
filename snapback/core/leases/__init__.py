"""Temporary things: their tags and expiry, what a sweep deletes, their cloud-init data. Pure."""
