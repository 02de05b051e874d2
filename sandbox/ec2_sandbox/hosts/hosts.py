"""The bodies of a sandbox's instances, volumes and snapshots: what the API's calls do to them.

The calls come in with the world's lock held; whatever takes long is done by a thread an instance.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ec2_sandbox.errors import SandboxError
from ec2_sandbox.hosts import linux, sweep
from ec2_sandbox.hosts.devices import Disk, probe
from ec2_sandbox.hosts.inner_loops import InnerLoops
from ec2_sandbox.hosts.loops import open_loop
from ec2_sandbox.hosts.machine import Machine, Model
from ec2_sandbox.hosts.needs import why_not
from ec2_sandbox.hosts.network import Network
from ec2_sandbox.hosts.pool import Pool
from ec2_sandbox.hosts.programs import run
from ec2_sandbox.hosts.userdata import FirstBoot
from ec2_sandbox.hosts.watch import Watcher
from ec2_sandbox.hosts.wishes import FileSystem, Wish

BOOTS_AT_ONCE = 4
READY_SECONDS = 120.0
_TRIES, _PAUSE = 20, 0.1
_CODES = {
    "pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64,
    "stopped": 80,
}  # fmt: skip


class Hosts:
    """Real hosts for one world."""

    def __init__(self) -> None:
        reason = why_not()
        if reason:
            raise SandboxError(reason)
        self.folder, self._lock = sweep.make_folder()
        self._keeper = sweep.start_keeper(self.folder, self._lock)
        linux.unshare(linux.CLONE_NEWNS)
        run(["mount", "--make-rprivate", "/"])
        (self.folder / "instances").mkdir()
        run(["mount", "-t", "tmpfs", "instances", str(self.folder / "instances")])
        self.pool = Pool(self.folder)
        self.network = Network()
        self.watcher = Watcher()
        self.inner_loops = InnerLoops(self.folder)
        self.key_file = self.folder / "id_ed25519"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sandbox", "-f",
             str(self.key_file)])  # fmt: skip
        self.machines: dict[str, Machine] = {}
        self._boots = threading.BoundedSemaphore(BOOTS_AT_ONCE)
        self._mounts = 0
        #: what a fleet's instances are to have on their disks, until they have it
        self._unmade: dict[str, Sequence[FileSystem]] = {}

    @property
    def public_key(self) -> str:
        """The key that every instance of a fleet lets in."""
        return Path(f"{self.key_file}.pub").read_text().strip()

    # Volumes and snapshots

    def volume_made(self, volume: Any) -> None:
        """Gives a volume its file."""
        self.pool.make(volume.id, volume.size, volume.snapshot_id)

    def snapshot_made(self, snapshot_id: str, source_id: str) -> None:
        """Gives a snapshot its file: its volume's, or another snapshot's, as it is now."""
        self.pool.clone(source_id, snapshot_id)

    def deleted(self, resource_id: str) -> None:
        """Deletes the file of a volume or snapshot."""
        self.pool.delete(resource_id)

    def attached(self, instance: Any, volume_id: str, device: str) -> None:
        """Plugs a volume in, if the instance is running; one that boots will find it."""
        machine = self.machines.get(instance.id)
        if machine is not None:
            machine.attach(device, volume_id)

    def detach(self, instance: Any, volume_id: str) -> bool:
        """Pulls a volume out; says whether that could be done."""
        machine = self.machines.get(instance.id)
        return machine is None or machine.detach(volume_id)

    # Instances

    def launched(self, instance: Any, wish: Wish | None = None, *, start: bool = True) -> None:
        """Gives an instance its address and its body, and boots it."""
        wish = wish or Wish()
        address = self.network.take()
        for card in instance.nics.values():
            card.private_ip_address = card.public_ip = address
        keys = list(wish.authorized_keys)
        pair = instance.ec2_backend.key_pairs.get(instance.key_name)
        if pair is not None:
            keys.append(pair.public_key)
        fstab = [each.fstab() for each in wish.file_systems if each.mount_point]
        first = FirstBoot(instance.id, address, keys, _data(instance.user_data), fstab)
        model = Model(instance.instance_type, instance.virtualization_type, wish.init, wish.syslog)
        folder = self.folder / "instances" / instance.id
        self.machines[instance.id] = Machine(
            folder, model, first, self.pool, self.network, self.watcher, self.inner_loops
        )
        root = instance.block_device_mapping.get(instance.root_device_name)
        if root is not None:
            volume = instance.ec2_backend.get_volume(root.volume_id)
            if not volume.snapshot_id:
                self.pool.make_root(volume.id, volume.size, wish.partitioned)
        self._unmade[instance.id] = wish.file_systems
        if start:
            self.start(instance)
        else:
            self._make_file_systems(instance.id)

    def _make_file_systems(self, instance_id: str) -> None:
        for each in self._unmade.pop(instance_id, ()):
            each.make(self.pool.file(each.volume_id))

    def start(self, instance: Any) -> None:
        """Boots an instance; it is running when that is done."""
        set_state(instance, "pending")
        machine = self.machines[instance.id]
        machine.wanted = "running"
        machine.settled.clear()
        machine.told.clear()
        _in_thread(self._live, instance, machine)

    def _live(self, instance: Any, machine: Machine) -> None:
        """Goes with an instance through a boot, to the end of it."""
        lock: threading.RLock = instance.ec2_backend.world.lock
        root = instance.root_device_name
        self._make_file_systems(instance.id)
        with lock:
            blocks = instance.block_device_mapping.items()
            volumes = [(device, block.volume_id) for device, block in blocks]
            machine.plug_in_all(sorted(volumes, key=lambda each: each[0] != root))
        with self._boots:
            machine.boot()
        with lock:
            if instance.state == "pending" and machine.wanted == "running":
                set_state(instance, "running")
        how = machine.wait()
        with lock:
            if self.machines.get(instance.id) is machine:
                self._ended(instance, machine, how)

    def _ended(self, instance: Any, machine: Machine, how: str) -> None:
        behavior = instance.instance_initiated_shutdown_behavior
        if machine.wanted == "terminate" or (
            machine.wanted == "running" and how == "off" and behavior == "terminate"
        ):
            del self.machines[instance.id]
            self.network.give_back(machine.address)
            instance.terminate()
            _explain(instance, machine, how)
        elif machine.wanted == "reboot" or (machine.wanted == "running" and how == "reboot"):
            self.start(instance)
            set_state(instance, "running")
        else:
            instance.stop()
            _explain(instance, machine, how)

    def stop(self, instance: Any, *, force: bool = False) -> None:
        """Shuts an instance down; it is stopped when that is done."""
        self._end(instance, "stop", "stopping", force)

    def terminate(self, instance: Any) -> None:
        """Shuts an instance down and ends it; its volumes go as DeleteOnTermination says."""
        self._end(instance, "terminate", "shutting-down", False)

    def reboot(self, instance: Any) -> None:
        """Shuts an instance down and boots it."""
        self._end(instance, "reboot", "running", False)

    def _end(self, instance: Any, wanted: str, state: str, force: bool) -> None:
        machine = self.machines[instance.id]
        was = instance.state
        machine.wanted = wanted
        if was == "stopped":
            self._ended(instance, machine, "off")
            return
        set_state(instance, state)
        if force:
            _in_thread(machine.power_off, _shared_volumes(instance))
        else:
            _in_thread(machine.shut_down)

    def console(self, instance_id: str) -> bytes:
        """Answers what an instance wrote on its console, the last 64 KiB."""
        machine = self.machines.get(instance_id)
        if machine is None or not machine.console.exists():
            return b""
        return machine.console.read_bytes()[-65536:]

    def health(self, instance_id: str) -> str:
        """Answers what EC2's check of an instance itself says: whether it answers on its card."""
        machine = self.machines.get(instance_id)
        if machine is None or not machine.settled.is_set():
            return "initializing"
        return "ok" if machine.booted else "impaired"

    def wait_until_ready(self, instance_ids: Sequence[str]) -> None:
        """Waits until instances have booted.

        :raises SandboxError: one of them does not
        """
        for instance_id in instance_ids:
            machine = self.machines.get(instance_id)
            if machine is None or machine.wanted != "running":
                continue
            machine.settled.wait(READY_SECONDS)
            if not machine.booted:
                said = machine.console.read_text(errors="replace").strip().splitlines()
                raise SandboxError(f"{instance_id} does not boot: {' / '.join(said[-3:])}")

    # For tests

    def machine(self, instance_id: str) -> Machine:
        """Answers the body of an instance.

        :raises SandboxError: it has none
        """
        machine = self.machines.get(instance_id)
        if machine is None:
            raise SandboxError(f"no instance {instance_id} with a body")
        return machine

    def seen_from_outside(self, path: Path) -> str:
        """Answers the path by which other processes, of root, reach what is mounted here."""
        return f"/proc/{os.getpid()}/root{path}"

    def mount(self, resource_id: str, options: str, partition: int | None) -> Path:
        """Mounts a clone of a snapshot's file here; answers the folder."""
        image = self.image_of(resource_id)
        folder = self.folder / "mounts" / image.name
        folder.mkdir(parents=True)
        loop = open_loop(image)
        disk = Disk(resource_id, "", f"loop{loop.number}", loop)
        try:
            disk.refresh()
            path = f"{loop.path}p{partition}" if partition else loop.path
            _mount(path, folder, options)
        finally:
            loop.close()
            image.unlink()
        return folder

    def unmount(self, folder: str) -> None:
        """Unmounts what :meth:`mount` has mounted."""
        run(["umount", folder])

    def image_of(self, resource_id: str) -> Path:
        """Makes a clone of a snapshot's file, to look into and to write to."""
        if not self.pool.file(resource_id).exists():
            raise SandboxError(f"{resource_id} has no data")
        self._mounts += 1
        target = self.pool.folder / f"image-{self._mounts}"
        linux.clone(self.pool.file(resource_id), target)
        return target

    # The end

    def reset(self) -> None:
        """Ends all instances and forgets all volumes and snapshots."""
        machines, self.machines = self.machines, {}
        for machine in machines.values():
            machine.wanted = "nothing"
            machine.power_off()
            self.network.give_back(machine.address)
        self.pool.empty()

    def close(self) -> None:
        """Ends everything; nothing is left when it returns."""
        self.reset()
        self.network.close()
        run(["umount", "-l", str(self.pool.mount_point)])
        assert self._keeper.stdin is not None  # noqa: S101 - it was made with a pipe
        self._keeper.stdin.close()
        self._keeper.wait()


def set_state(instance: Any, name: str) -> None:
    """Puts an instance into a state."""
    instance._state.name = name
    instance._state.code = _CODES[name]


def _explain(instance: Any, machine: Machine, how: str) -> None:
    """Says of an instance that nobody has ended by the API why it has ended."""
    if machine.wanted == "running":
        code, text = "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"
        if how == "killed":
            code, text = "Server.InternalError", "The instance has lost its power"
        instance.state_reason.code = code
        instance.state_reason.message = f"{code}: {text}"


def _mount(path: str, folder: Path, options: str) -> None:
    """Mounts a clone of what may be mounted elsewhere on this kernel.

    Two btrfs of one UUID are kept apart by the kernel, but not while one is just being unmounted.
    """
    for left in reversed(range(_TRIES)):
        try:
            run(["mount", "-o", options, path, str(folder)])
        except SandboxError:
            if not left or probe(path).get("TYPE") != "btrfs":
                raise
            time.sleep(_PAUSE)
        else:
            return


def _shared_volumes(instance: Any) -> list[str]:
    """Answers the volumes of an instance that others have, too."""
    blocks = instance.block_device_mapping.values()
    volumes = [instance.ec2_backend.get_volume(block.volume_id) for block in blocks]
    return [volume.id for volume in volumes if len(volume.held_by) > 1]


def _in_thread(function: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _data(user_data: Any) -> bytes:
    """Answers user data as the bytes that were given."""
    return base64.b64decode(str(user_data)) if user_data else b""
