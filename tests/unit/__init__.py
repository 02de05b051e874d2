"""Tests of what is pure: no network, no clock, no files."""
