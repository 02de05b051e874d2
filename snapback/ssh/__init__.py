"""All that runs on a host; nothing else imports fabric.Connection, for connecting, or paramiko."""

import logging

logging.getLogger("paramiko").addHandler(logging.NullHandler())
