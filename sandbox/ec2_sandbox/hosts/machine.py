"""One instance's body: it boots, has disks, and ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ec2_sandbox.errors import SandboxError
from ec2_sandbox.hosts import sweep
from ec2_sandbox.hosts.devices import (
    Disk,
    is_nitro,
    publish,
    publish_content,
    publish_loops,
    withdraw,
    xen_name,
)
from ec2_sandbox.hosts.inner_loops import InnerLoops, backing_file
from ec2_sandbox.hosts.loops import open_loop
from ec2_sandbox.hosts.network import PREFIX, Network
from ec2_sandbox.hosts.pool import Pool
from ec2_sandbox.hosts.programs import PATH
from ec2_sandbox.hosts.userdata import FirstBoot
from ec2_sandbox.hosts.watch import Watcher

HERE = Path(__file__).parent
BOOT_SECONDS = 60.0
STOP_SECONDS = 5.0
REBOOT = 64
_STEP = 0.01
_SYSTEMD_POWER_OFF = signal.SIGRTMIN + 4


@dataclass(frozen=True)
class Model:
    """What kind of machine it is."""

    instance_type: str = "m5.large"
    virtualization_type: str = "hvm"
    init: str = "plain"
    syslog: bool = False


class Machine:
    """The body of an instance, from one boot to the next.

    Its disks are those it has at a boot and what is attached to it afterwards.
    """

    def __init__(
        self,
        folder: Path,
        model: Model,
        first: FirstBoot,
        pool: Pool,
        network: Network,
        watcher: Watcher,
        inner_loops: InnerLoops,
    ) -> None:
        self.folder = folder
        self.model = model
        self.first = first
        self.address = first.address
        self.port = network.new_port()
        #: what is to become of it: running, stop, terminate, reboot, nothing
        self.wanted = "stop"
        self.disks: dict[str, Disk] = {}
        #: the numbers of the loop devices that it may make itself, from a boot to its end
        self.loops: Sequence[int] = ()
        #: the first process, while there is one
        self.pid: int | None = None
        self.booted = False
        #: set when a boot has ended, well or badly
        self.settled = threading.Event()
        #: set when it is told to end; one that doesn't boot goes on until then
        self.told = threading.Event()
        self._pool = pool
        self._network = network
        self._watcher = watcher
        self._inner_loops = inner_loops
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    @property
    def console(self) -> Path:
        """The file of what it wrote on its console."""
        return self.folder / "console"

    @property
    def root(self) -> Path:
        """Its root folder, as seen from outside."""
        return Path(f"/proc/{self.pid}/root")

    def plug_in_all(self, volumes: Sequence[tuple[str, str]]) -> None:
        """Gives it its disks, before a boot.

        :param volumes: device names and volume ids, the root's first
        """
        with self._lock:
            for device, volume_id in volumes:
                self._plug_in(device, volume_id)

    def boot(self) -> None:
        """Boots it from its first disk; it is :attr:`booted` then, if all went well."""
        self.settled.clear()
        with self._lock:
            if self.wanted != "running" or not self.disks:
                self.settled.set()
                return
            self._prepare(next(iter(self.disks.values())))
            talk = self._spawn()
        with talk, contextlib.suppress(OSError, ValueError):
            talk.settimeout(BOOT_SECONDS)
            pid = int(talk.recv(64))
            with self._lock:
                self.pid = pid
                for disk in self.disks.values():
                    publish(self.root, disk)
                self.loops = self._inner_loops.take()
                publish_loops(self.root, self.loops)
                self._watcher.watch(self.root / "dev", self._written)
            talk.sendall(b"\n")
            self.booted = self._is_ready()
        self.settled.set()

    def _is_ready(self) -> bool:
        """Waits until sshd listens; says whether it has come to that."""
        assert self._process is not None  # noqa: S101 - it boots
        ready, end = self.root / "run/cloud/ready", time.monotonic() + BOOT_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if ready.exists():
                return True
            time.sleep(_STEP)
        return False

    def _prepare(self, root: Disk) -> None:
        """Writes what the boot script is to know."""
        seed = self.folder / "seed"
        shutil.rmtree(seed, ignore_errors=True)
        (seed / "root").mkdir(parents=True)
        self.first.write(seed / "cloud")
        if self.model.syslog:
            (seed / "cloud/syslog").touch()
        shutil.copy(HERE / "init.sh", seed / "init.sh")
        name = root.name
        if root.partitions:
            number = max(root.partitions, key=lambda each: root.partitions[each].size)
            name = root.part_name(number)
        settings = {
            "HOST_NAME": self.first.host_name,
            "ADDRESS": self.address,
            "PREFIX": PREFIX,
            "GATEWAY": self._network.gateway,
            "ROOT_NODE": f"/dev/{name}",
            "INIT": self.model.init,
        }
        (seed / "settings").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        (seed / "cable").write_text(self._network.cable(self.port, self.address))

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs, self.console.open("ab") as console:
            self._process = subprocess.Popen(
                [*self._control_group(), "unshare", "--mount", "--net", "--uts", "--ipc",
                 "--cgroup", "--pid", "--fork", "--kill-child",
                 "sh", str(HERE / "boot.sh"), f"{self.folder}/seed"],
                stdin=theirs.fileno(), stdout=console, stderr=console,
                env={"PATH": PATH, "LC_ALL": "C"}, start_new_session=True,
            )  # fmt: skip
        return ours

    def _control_group(self) -> list[str]:
        """Answers the command before the others that puts them into a group of systemd's own."""
        if self.model.init != "systemd":
            return []
        group = sweep.control_groups(self.folder.parent.parent) / self.first.instance_id
        group.mkdir(parents=True, exist_ok=True)
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(group)]

    def wait(self) -> str:
        """Waits for its end; answers ``off``, ``reboot`` or ``killed``. It has no disks then."""
        code = self._process.wait() if self._process else 0
        if not self.booted:
            self.told.wait()
        with self._lock:
            self.booted, self.pid, self._process = False, None, None
            for disk in self.disks.values():
                disk.close()
            self.disks.clear()
            self._inner_loops.give_back(self.loops)
            self.loops = ()
        self._network.unplug(self.port)
        if code in (REBOOT, -signal.SIGHUP):
            return "reboot"
        return "off" if code in (0, -signal.SIGINT) else "killed"

    def shut_down(self) -> None:
        """Asks it to turn itself off; turns it off if it doesn't within its time."""
        self.told.set()
        process, pid = self._process, self.pid
        if process is None:
            return
        if self.booted and pid is not None:
            systemd = self.model.init == "systemd"
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, _SYSTEMD_POWER_OFF if systemd else signal.SIGUSR2)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        _kill(process)

    def power_off(self, shared: Collection[str] = ()) -> None:
        """Cuts its power: nothing is written any more, nobody is told.

        :param shared: the ids of the volumes that others have, too: their files stay
        """
        self.told.set()
        with self._lock:
            process = self._process
            for volume_id in self.disks.keys() - set(shared):
                self._pool.renew(volume_id)
        if process is not None:
            _kill(process)

    def attach(self, device: str, volume_id: str) -> None:
        """Gives it a disk while it runs."""
        with self._lock:
            if self.disks:
                disk = self._plug_in(device, volume_id)
                with self._while_it_lives() as lives:
                    if lives:
                        publish(self.root, disk)

    def detach(self, volume_id: str) -> bool:
        """Takes a disk away; says whether that could be done: not while it is in use."""
        with self._lock:
            disk = self.disks.get(volume_id)
            if disk is None:
                return True
            if disk.in_use(self.loops):
                return False
            with self._while_it_lives() as lives:
                if lives:
                    withdraw(self.root, disk)
            disk.close()
            del self.disks[volume_id]
            return True

    def _written(self, names: set[str]) -> None:
        """Shows what is on the disks now of which nodes have been closed after writing."""
        with self._lock:
            for disk in self.disks.values():
                written = any(name.startswith(disk.name) for name in names)
                with self._while_it_lives() as lives:
                    if written and lives:
                        disk.refresh()
                        publish(self.root, disk)
            for number in self.loops:
                if f"loop{number}" in names or backing_file(number) is None:
                    with self._while_it_lives() as lives:
                        if lives:
                            publish_content(self.root, number)

    @contextlib.contextmanager
    def _while_it_lives(self) -> Iterator[bool]:
        """Answers whether it lives; that its files vanish because it ends meanwhile is no error."""
        try:
            yield self.pid is not None
        except FileNotFoundError:
            if (self.root / "sys/block").exists():
                raise

    def _plug_in(self, device: str, volume_id: str) -> Disk:
        if volume_id in self.disks:
            raise SandboxError(f"{volume_id} is plugged in already")
        loop = open_loop(self._pool.file(volume_id))
        disk = Disk(volume_id, device, self._free_name(device), loop)
        disk.refresh()
        self.disks[volume_id] = disk
        return disk

    def _free_name(self, device: str) -> str:
        if not is_nitro(self.model.instance_type, self.model.virtualization_type):
            return xen_name(device, self.model.virtualization_type)
        taken = {disk.name for disk in self.disks.values()}
        number = 0
        while f"nvme{number}n1" in taken:
            number += 1
        return f"nvme{number}n1"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends an instance's processes, thawing what is frozen, as long as that takes."""
    end = time.monotonic() + STOP_SECONDS
    while process.poll() is None and time.monotonic() < end:
        sweep.kill(process.pid)
        time.sleep(0.01)
