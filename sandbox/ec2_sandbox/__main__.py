"""``python -m ec2_sandbox``: runs a sandbox in the foreground."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from typing import Any

from ec2_sandbox.client import ENVIRONMENT, UNSET, environment
from ec2_sandbox.errors import SandboxError
from ec2_sandbox.region_names import check_names
from ec2_sandbox.settings import NAMES, Settings

_JSON_FLAGS = {
    "buckets": 'other buckets: {"CreateSnapshots": [5, 1]}',
    "roles": "the roles there are: {ARN: external id}",
    "denied": 'what is not allowed: {"*": ["DeleteSnapshot"]}, or in a region',
    "policies": "policy documents that bind the caller: [{Statement: [...]}], as JSON",
    "boundary": "a permissions boundary of the caller, written likewise",
    "service_control_policies": "those that bind the caller and all roles, written likewise",
    "recycle_bin": 'rules of the Recycle Bin: {"us-east-1": [{"days": 7}]}',
}
_OWN_FLAGS = {
    "enabled_regions", "throttle", "kms_keys", "now", "default_region", "principal", *_JSON_FLAGS,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Runs a sandbox until Ctrl-C or SIGTERM; answers the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="ec2_sandbox: %(message)s")
    for name in UNSET:
        os.environ.pop(name, None)  # moto itself opens a boto3 session: not with a real profile
    os.environ.update(ENVIRONMENT)
    try:
        if options.child:
            return _child(options.hosts)
        return _foreground(options)
    except SandboxError as error:
        print(f"ec2_sandbox: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ec2_sandbox", description="Runs an EC2 on this machine, on loopback."
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    parser.add_argument("--fleet", metavar="FILE", help="lay out the fleet of this YAML file")
    parser.add_argument("--regions", metavar="A,B", help="the enabled regions")
    parser.add_argument("--default-region", metavar="REGION", help="for AWS_DEFAULT_REGION")
    parser.add_argument("--now", metavar="TIME", help="the clock's start, 2024-05-01T12:00:00Z")
    parser.add_argument("--principal", metavar="ARN", help="who calls, as policies have it")
    parser.add_argument("--throttle", action="store_true", help="EC2's token buckets")
    for name, meaning in _JSON_FLAGS.items():
        parser.add_argument("--" + name.replace("_", "-"), metavar="JSON", help=meaning)
    parser.add_argument("--kms-keys", metavar="A,B", help="the KMS keys there are")
    defaults = Settings()
    for name in NAMES:
        if name not in _OWN_FLAGS:
            flag = "--" + name.replace("_", "-")
            default = getattr(defaults, name)
            parser.add_argument(flag, type=float, metavar="N", help=f"default {default}")
    parser.add_argument(
        "--hosts", action="store_true", help="instances that boot, with an sshd; needs root"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


def _given(options: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in NAMES:
        value = getattr(options, name, None)
        if value is not None and name not in ("throttle", "enabled_regions"):
            given[name] = value
    if options.regions is not None:
        given["enabled_regions"] = [each for each in options.regions.split(",") if each]
    if options.kms_keys is not None:
        given["kms_keys"] = options.kms_keys.split(",")
    if options.throttle:
        given["throttle"] = True
    for name in given.keys() & _JSON_FLAGS.keys():
        try:
            given[name] = json.loads(given[name])
        except ValueError:
            flag = "--" + name.replace("_", "-")
            raise SandboxError(f"{flag} {given[name]!r} is no JSON") from None
    return given


def _foreground(options: argparse.Namespace) -> int:
    fleet = None
    if options.fleet:
        from ec2_sandbox.fleet.read import read_file, read_fleet

        fleet = read_file(options.fleet)
        read_fleet(fleet)
    settings = Settings().changed(_given(options))
    check_names(settings.enabled_regions, settings.default_region)
    server = _server(settings, options.port, options.hosts)
    try:
        return _serve(server, fleet)
    finally:
        server.world.close()


def _serve(server: Any, fleet: Any) -> int:
    if fleet is not None:
        from ec2_sandbox.fleet import lay_out

        lay_out(server.world, fleet)
    for name, value in environment(server.url, server.world.default_region()).items():
        print(f"export {name}={value}")
    print(f"unset {' '.join(UNSET)}", flush=True)
    if server.world.hosts is not None:
        print(f"# log in to hosts as ubuntu with the key {server.world.hosts.key_file}", flush=True)
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


def _child(hosts: bool) -> int:
    """Serves the process that holds the other end of our standard input, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()
    server = _server(Settings().changed(json.loads(line or b"{}")), 0, hosts)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    print(server.url, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while sys.stdin.buffer.read(1):
            pass
    finally:
        server.world.close()
        os._exit(0)


def _server(settings: Settings, port: int, hosts: bool) -> Any:
    """Makes the server and its world; the hosts first, as they need a process with one thread."""
    from ec2_sandbox.server import Server
    from ec2_sandbox.world import World

    bodies = None
    if hosts:
        from ec2_sandbox.hosts.hosts import Hosts

        bodies = Hosts()
    try:
        from ec2_sandbox.corrections.backend import install

        world = World(settings, bodies)
        install(world)
        return Server(world, port)
    except BaseException:
        if bodies is not None:
            bodies.close()
        raise


if __name__ == "__main__":
    sys.exit(main())
