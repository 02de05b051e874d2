"""The sandbox's own network: a bridge in a namespace that ends with this process."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import random
import threading

from ec2_sandbox.errors import SandboxError
from ec2_sandbox.hosts import linux
from ec2_sandbox.hosts.programs import run

#: Subnets are taken of this; the number of one is in the name of this machine's card to it, so
#: that no two sandboxes have the same.
SPACE = ipaddress.ip_network("10.128.0.0/9")
PREFIX = 22
_TRIES = 50


class Network:
    """A switch that all instances hang on, and a cable from there to this machine."""

    def __init__(self) -> None:
        self._namespace = _new_namespace()
        self._taken: set[ipaddress.IPv4Address] = set()
        self._lock = threading.Lock()
        self._ports = itertools.count(1)
        self._batch("link add switch type bridge forward_delay 0\nlink set switch up\n")
        self.subnet, self.card = self._plug_in()
        self.gateway = self.subnet[1]

    def _plug_in(self) -> tuple[ipaddress.IPv4Network, str]:
        """Connects this machine with the switch, in a subnet that it does not have yet."""
        routes = run(["ip", "-4", "route", "show"])
        for _ in range(_TRIES):
            number = random.randrange(1 << (PREFIX - SPACE.prefixlen))  # noqa: S311
            start = int(SPACE.network_address) + (number << (32 - PREFIX))
            subnet = ipaddress.IPv4Network((start, PREFIX))
            card = f"ec2sandbox{number}"
            if str(subnet) in routes:
                continue
            try:
                run(["ip", "link", "add", card, "type", "veth", "peer", "name", "uplink",
                     "netns", self._path])  # fmt: skip
            except SandboxError as error:
                if "exists" in str(error):
                    continue
                raise
            run(["ip", "-batch", "-"], stdin=f"addr add {subnet[1]}/{PREFIX} dev {card}\n"
                f"link set {card} up\n")  # fmt: skip
            self._batch("link set uplink master switch up\n")
            return subnet, card
        raise SandboxError("no free subnet found for the instances")

    @property
    def _path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._namespace}"

    def new_port(self) -> str:
        """Answers a name that no port of the switch has had."""
        return f"port{next(self._ports)}"

    def cable(self, port: str, address: str) -> str:
        """Answers the commands that the first process of an instance gives itself a card by.

        The card's own number follows from the address, so that nobody has to learn another one
        after a boot.
        """
        number = ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)
        return (
            f"nsenter --net={self._path} ip -batch - <<END\n"
            f"link add {port} type veth peer name eth0 address 02:00:{number} netns 1\n"
            f"link set {port} master switch up\nEND\n"
        )

    def take(self) -> str:
        """Answers the lowest free address: one that was given back is given again, as in EC2."""
        with self._lock:
            for address in list(self.subnet.hosts())[1:]:
                if address not in self._taken:
                    self._taken.add(address)
                    return str(address)
        raise SandboxError(f"all addresses of {self.subnet} are taken")

    def give_back(self, address: str) -> None:
        """Frees an address."""
        with self._lock:
            self._taken.discard(ipaddress.IPv4Address(address))

    def unplug(self, port: str) -> None:
        """Takes away a cable, if it is there."""
        with contextlib.suppress(SandboxError):
            self._batch(f"link del {port}\n")

    def cut(self, port: str) -> None:
        """Cuts an instance's cable: whatever it or others send is lost, and nobody is told."""
        self._batch(f"link set {port} nomaster\n")

    def mend(self, port: str) -> None:
        """Mends a cable that was cut."""
        self._batch(f"link set {port} master switch\n")

    def close(self) -> None:
        """Takes this machine's card away, and lets go of the namespace, so that the others end.

        The card would end with the namespace, too, but only when the kernel gets round to it.
        """
        with contextlib.suppress(SandboxError):
            run(["ip", "link", "del", self.card])
        os.close(self._namespace)

    def _batch(self, commands: str) -> None:
        run(["nsenter", f"--net={self._path}", "ip", "-batch", "-"], stdin=commands)


def _new_namespace() -> int:
    """Makes a network namespace that lives as long as the descriptor answered."""
    made: list[int] = []

    def make() -> None:
        linux.unshare(linux.CLONE_NEWNET)
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise SandboxError("this machine gives no network namespaces")
    return made[0]
