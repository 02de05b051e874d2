"""Find our snapshots, see which are in flight, and log every deletion."""
