"""Judge what ``doctor`` has seen, and what each permission is tried by. Pure."""
