"""Put the state of all backups together from what all regions hold, and judge it. Pure."""
