"""What tests do to hosts: write to them, and see whether that goes through."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ec2_sandbox import Sandbox

from tests.sandbox.conftest import BIN
from tests.sandbox.warm_fab import ROOT
from tests.waiting import PATIENCE_S, wait_until

HANG_S = 100.0

_WRITER = r"""
use Time::HiRes qw(time sleep);
my ($acks, @logs) = @ARGV;
open(my $ack, '>>', $acks) or die;
my @files = map { open(my $f, '>>', $_) or die; $f } @logs;
for (my $n = 1; ; $n++) {
    syswrite($_, "$n\n") for @files;
    syswrite($ack, "$n " . time . "\n");
    sleep 0.001;
}
"""


@dataclass
class Writer:
    """Appends numbered records, without ever syncing, and acknowledges each in memory."""

    sandbox: Sandbox
    instance_id: str

    def acknowledged(self, before: float = float("inf")) -> int:
        """The last record that was acknowledged before a moment."""
        _, said, _ = self.sandbox.hosts.run(self.instance_id, "cat /run/acks")
        lines = [line.split() for line in said.splitlines() if line.count(" ") == 1]
        return max((int(n) for n, at in lines if float(at) < before), default=0)


@contextmanager
def writing(sandbox: Sandbox, instance_id: str, *logs: str) -> Iterator[Writer]:
    """Write to new files, each record to all of them in turn."""
    sandbox.hosts.run(instance_id, ["rm", "-f", "/run/acks"])
    words = ["perl", "-e", _WRITER, "/run/acks", *logs]
    with subprocess.Popen(sandbox.hosts.command(instance_id, words)) as process:
        writer = Writer(sandbox, instance_id)
        try:
            wait_until(lambda: writer.acknowledged() > 100, "a hundred records")
            yield writer
        finally:
            process.kill()


def records_in(sandbox: Sandbox, snapshot_id: str, options: str, path: str) -> list[int]:
    """The records that a snapshot holds, as it is mounted without replaying its journal."""
    with sandbox.hosts.mounted(snapshot_id, options) as folder:
        file = Path(folder, path.lstrip("/"))
        try:
            text = file.read_bytes() if file.exists() else b""
        except OSError:  # its journal isn't replayed: the file may be anything
            text = b""
    return [int(line) for line in text.split(b"\n")[:-1] if line.isdigit()]


def moment_of(sandbox: Sandbox, action: str) -> float:
    """When an action was last called, by this machine's clock; too early rather than too late."""
    before = datetime.now(UTC)
    ahead = sandbox.now() - before
    return (sandbox.calls(action)[-1].time - ahead).timestamp()


_PROBE = r"""
import sys, threading
def write(path):
    open(path, "w").close()
threads = [threading.Thread(target=write, args=(path,), daemon=True) for path in sys.argv[2:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(float(sys.argv[1]))
written = not any(thread.is_alive() for thread in threads)
sys.stdout.write(str(int(written)))
sys.stdout.flush()
"""


def are_writable(
    sandbox: Sandbox, instance_id: str, *folders: str, within_s: float = PATIENCE_S
) -> bool:
    """Tell whether files can be written to folders within some seconds.

    Whoever tries hangs until the thaw, and can't be killed; so it is left alone.
    """
    paths = [f"{folder.rstrip('/')}/probe" for folder in folders]
    words = ["/usr/bin/python3", "-c", _PROBE, str(within_s), *paths]
    process = subprocess.Popen(sandbox.hosts.command(instance_id, words), stdout=subprocess.PIPE)
    threading.Thread(target=process.wait, daemon=True).start()
    assert process.stdout is not None
    with process.stdout as said:
        return said.read(1) == b"1"


def let_go(sandbox: Sandbox) -> None:
    """Have calls that hang go on, and wait for their end."""
    sandbox.clear_faults()
    wait_until(lambda: not sandbox.calls_under_way(), "the end of what hung")


@contextmanager
def fab_running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the real ``fab``, a process of its own."""
    process = subprocess.Popen(
        [BIN / "fab", "-r", ROOT, *arguments],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def kill_at(sandbox: Sandbox, stage: str, *arguments: str) -> None:
    """Run the real ``fab`` up to a call that hangs, kill it there, and let the call end."""
    sandbox.fault(stage, "hang", seconds=HANG_S)
    with fab_running(*arguments) as process:
        wait_until(
            lambda: sandbox.calls_hanging() or process.poll() is not None, f"the call of {stage}"
        )
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        process.send_signal(signal.SIGKILL)
        process.wait()
    let_go(sandbox)


@contextmanager
def backing_up_frozen(sandbox: Sandbox, instance_id: str) -> Iterator[subprocess.Popen[str]]:
    """Run a consistent backup, up to where it waits for EC2 while the host is frozen.

    EC2 answers when the sandbox's faults are cleared.
    """
    sandbox.fault("CreateSnapshots", "hang", seconds=HANG_S)
    with fab_running("backup_instances_by_tag", "--consistent", "--json") as process:
        wait_until(lambda: is_frozen(sandbox, instance_id), "the freeze")
        yield process


def is_frozen(sandbox: Sandbox, instance_id: str) -> bool:
    """Tell whether a host is frozen, and EC2 called, whose answer hangs."""
    code, _, _ = sandbox.hosts.run(instance_id, "pgrep -f ' snapback-hold [0-9]'")
    return code == 0 and sandbox.calls_hanging() > 0
