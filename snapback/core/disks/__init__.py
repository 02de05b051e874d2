"""What a disk holds: partitions, file systems, block devices, as hosts tell it. Pure."""
