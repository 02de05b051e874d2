"""An EC2 that runs on this machine: moto's, made as strict as the real one.

::

    from ec2_sandbox import launch

    with launch(snapshot_seconds=10) as sandbox:
        os.environ.update(sandbox.environ)
        boto3.client("ec2").describe_regions()
"""

from ec2_sandbox.client import UNSET, Sandbox
from ec2_sandbox.errors import SandboxError
from ec2_sandbox.launch import LaunchedSandbox, launch
from ec2_sandbox.log import Call

__all__ = ["UNSET", "Call", "LaunchedSandbox", "Sandbox", "SandboxError", "launch"]
