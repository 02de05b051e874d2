"""What a disk holds: block devices, partition tables, file systems, read from a host's output. Pure."""
