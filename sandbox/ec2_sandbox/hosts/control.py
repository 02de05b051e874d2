"""The control endpoints of real hosts; the handle talks to these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ec2_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from ec2_sandbox.hosts.hosts import Hosts
    from ec2_sandbox.world import World


def _hosts(world: World) -> Hosts:
    if world.hosts is None:
        raise SandboxError("this sandbox has no real hosts: launch it with hosts=True, or --hosts")
    return world.hosts


def _about(world: World, _asked: Mapping[str, Any]) -> Any:
    hosts = _hosts(world)
    return {
        "key_file": str(hosts.key_file),
        "folder": str(hosts.folder),
        "card": hosts.network.card,
    }


def _host(world: World, asked: Mapping[str, Any]) -> Any:
    machine = _hosts(world).machine(asked["instance_id"])
    if machine.pid is None:
        raise SandboxError(f"{asked['instance_id']} does not run")
    return {"pid": machine.pid, "address": machine.address}


def _network(world: World, asked: Mapping[str, Any]) -> Any:
    hosts = _hosts(world)
    port = hosts.machine(asked["instance_id"]).port
    (hosts.network.cut if asked["cut"] else hosts.network.mend)(port)
    return {}


def _power_off(world: World, asked: Mapping[str, Any]) -> Any:
    _hosts(world).machine(asked["instance_id"]).power_off()
    return {}


def _image(world: World, asked: Mapping[str, Any]) -> Any:
    hosts = _hosts(world)
    return {"path": hosts.seen_from_outside(hosts.image_of(asked["resource_id"]))}


def _file(world: World, asked: Mapping[str, Any]) -> Any:
    hosts = _hosts(world)
    return {"path": hosts.seen_from_outside(hosts.pool.file(asked["resource_id"]))}


def _mount(world: World, asked: Mapping[str, Any]) -> Any:
    hosts = _hosts(world)
    folder = hosts.mount(asked["resource_id"], asked["options"], asked["partition"])
    return {"folder": str(folder), "path": hosts.seen_from_outside(folder)}


def _unmount(world: World, asked: Mapping[str, Any]) -> Any:
    _hosts(world).unmount(asked["folder"])
    return {}


def _settle(world: World, _asked: Mapping[str, Any]) -> Any:
    _hosts(world).watcher.settle()
    return {}


COMMANDS: dict[str, Callable[[World, Mapping[str, Any]], Any]] = {
    "host": _host,
    "host_network": _network,
    "host_power_off": _power_off,
    "hosts": _about,
    "hosts_settle": _settle,
    "mount_snapshot": _mount,
    "snapshot_file": _file,
    "snapshot_image": _image,
    "unmount": _unmount,
}
