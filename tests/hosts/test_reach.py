"""Reaching real hosts: addresses, host keys, jump hosts, boots, cut cables, users and shells."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ec2_sandbox import LaunchedSandbox, launch
from ec2_sandbox.hosts.needs import why_not

from snapback import config
from snapback.core.disks.layouts import Layout, layout_of
from snapback.core.model import Instance, Place
from snapback.ec2.instances import instance_by_id
from snapback.errors import HostError, HostKeyError, HostTimeout, HostUnreachable
from snapback.run import Run
from snapback.ssh.host_keys import HostKey
from snapback.ssh.layout import block_devices
from tests.ssh.conftest import make_key

PLACE = Place("us-east-1")
CANONICAL = "099720109477"
FLEET = {
    "regions": {
        "us-east-1": {
            "instances": [
                {
                    "name": "web",
                    "volumes": [
                        {"device": "/dev/sda1"},
                        {"device": "/dev/sdf", "filesystem": "xfs", "mount_point": "/srv/my data"},
                    ],
                },
                {"name": "xen", "type": "t2.micro", "volumes": [{"device": "/dev/sda1"}]},
            ]
        }
    }
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LaunchedSandbox]:
    """One for all these tests, since they change little on their hosts."""
    if reason := why_not():
        pytest.skip(reason)
    with launch(FLEET, hosts=True) as launched:
        yield launched


@pytest.fixture
def new_run(
    sandbox: LaunchedSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Run]]:
    """Answer what makes a run with options of ``ssh``; its keys come from the console."""
    for name, value in sandbox.environ.items():
        monkeypatch.setenv(name, value)
    runs = []

    def make(**options: Any) -> Run:
        ssh = {
            "username": "ubuntu",
            "key_filename": sandbox.hosts.key_file,
            "ssh_config": "/dev/null",
            "host_keys": "console",
            "known_hosts": str(tmp_path / "known_hosts"),
            "remembered_keys": str(tmp_path / "remembered"),
            **options,
        }
        run = Run(config.Loaded(settings=config.Settings.model_validate({"ssh": ssh})))
        runs.append(run)
        return run

    yield make
    for run in runs:
        run.connections.close()


def known(sandbox: LaunchedSandbox, run: Run, name: str) -> Instance:
    """Answer an instance of the fleet."""
    return instance_by_id(run.conn(PLACE), PLACE, sandbox.layout["us-east-1"][name]["instance_id"])


@pytest.fixture
def launched(sandbox: LaunchedSandbox, new_run: Callable[..., Run]) -> Iterator[Callable[..., str]]:
    """Answer what launches an instance for a test, and answers its id at once."""
    conn = new_run().conn(PLACE)
    image = conn.describe_images(Owners=[CANONICAL])["Images"][0]["ImageId"]
    ids: list[str] = []

    def start(user_data: str = "") -> str:
        answer = conn.run_instances(
            ImageId=image,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            UserData=f"#cloud-config\nssh_authorized_keys: ['{public_key(sandbox)}']\n{user_data}",
        )
        ids.append(answer["Instances"][0]["InstanceId"])
        return ids[-1]

    yield start
    for instance_id in ids:
        end(conn, instance_id)


def public_key(sandbox: LaunchedSandbox) -> str:
    return Path(f"{sandbox.hosts.key_file}.pub").read_text().strip()


def end(conn: Any, instance_id: str) -> None:
    """Terminate an instance and wait until its address is free."""
    conn.terminate_instances(InstanceIds=[instance_id])
    wait_for(lambda: state(conn, instance_id) == "terminated")


def state(conn: Any, instance_id: str) -> str:
    answer = conn.describe_instances(InstanceIds=[instance_id])
    return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])


def wait_for(question: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def test_a_host_is_reached_and_trusted_by_its_console(
    sandbox: LaunchedSandbox, new_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = new_run()
    web = known(sandbox, run, "web")
    with run.host(web) as host:
        assert host.name == f"{web.instance_id} (web) at {web.private_ip_address}"
        assert host.run(["whoami"]).stdout == "ubuntu\n"
        assert host.sudo(["whoami"]).stdout == "root\n"
    remembered = (tmp_path / "remembered").read_text().splitlines()
    assert all(line.startswith(f"{web.instance_id} ") for line in remembered)
    sandbox.clear_calls()
    with run.host(web):
        assert sandbox.calls("GetConsoleOutput") == []
    with new_run(address="public_ip").host(web) as host:
        assert host.name.endswith(f" at {web.public_ip_address}")
    with pytest.raises(HostError, match="it has no public_dns"):
        new_run(address="public_dns").host(web)


def test_the_file_systems_of_volumes(sandbox: LaunchedSandbox, new_run: Callable[..., Run]) -> None:
    run = new_run()
    for name, expected in (
        ("web", [("/dev/sda1", "nvme0n1", ("/",)), ("/dev/sdf", "nvme1n1", ("/srv/my data",))]),
        ("xen", [("/dev/sda1", "xvda", ("/",))]),
    ):
        instance = known(sandbox, run, name)
        with run.host(instance) as host:
            blocks = block_devices(host)
        layouts = layout_of(instance.devices, blocks).values()
        assert [
            (one.device_name, one.block_device and one.block_device.kname, *mount_points(one))
            for one in layouts
        ] == expected
        assert not any(one.raw or one.swap for one in layouts)


def test_what_is_mounted_beneath_something_else_is_nothing_that_could_be_frozen(
    sandbox: LaunchedSandbox, new_run: Callable[..., Run]
) -> None:
    run = new_run()
    web = known(sandbox, run, "web")
    cover, uncover = ["mount", "-t", "tmpfs", "x", "/srv/my data"], ["umount", "/srv/my data"]
    with run.host(web) as host:
        try:
            host.sudo(cover)
            blocks = block_devices(host)
        finally:
            host.sudo(uncover)
    _, data = layout_of(web.devices, blocks).values()
    assert (data.file_systems, [one.kname for one in data.raw]) == ((), ["nvme1n1"])


def mount_points(layout: Layout) -> list[tuple[str, ...]]:
    return [system.mount_points for system in layout.file_systems]


def test_another_host_at_a_recycled_address_is_refused(
    new_run: Callable[..., Run], launched: Callable[..., str]
) -> None:
    run = new_run()
    conn = run.conn(PLACE)
    before = instance_by_id(conn, PLACE, launched())
    by_address = new_run(host_keys="accept-new")
    for one in (run, by_address):
        one.host(before, booting=True).close()
    end(conn, before.instance_id)
    after = instance_by_id(conn, PLACE, launched())
    assert after.private_ip_address == before.private_ip_address
    with run.host(after, booting=True) as host:
        assert host.run(["true"]).returncode == 0
    with pytest.raises(HostKeyError, match="has CHANGED"):
        run.host(before)  # as DescribeInstances said a while ago
    with pytest.raises(HostKeyError, match="has CHANGED"):
        by_address.host(after)


def test_a_host_that_boots_shows_the_key_it_was_given(
    new_run: Callable[..., Run], launched: Callable[..., str], tmp_path: Path
) -> None:
    public = make_key(tmp_path / "host_key")
    private = (tmp_path / "host_key").read_text().replace("\n", "\n    ")
    user_data = f"ssh_keys:\n  ed25519_private: |\n    {private}\n  ed25519_public: {public}\n"
    run = new_run(ssh_timeout_interval=0.2, ssh_timeout_attempts=150)
    instance = instance_by_id(run.conn(PLACE), PLACE, launched(user_data))
    given = HostKey.read(*public.split())
    assert given
    with run.host(instance, host_keys=[given], booting=True) as host:
        assert host.sudo(["whoami"]).stdout == "root\n"
    other = HostKey.read(*make_key(tmp_path / "other").split())
    assert other
    with pytest.raises(HostKeyError, match="is not the one it was given"):
        run.host(instance, host_keys=[other], booting=True)


def test_a_host_that_never_boots_raises_its_last_error(
    sandbox: LaunchedSandbox, new_run: Callable[..., Run]
) -> None:
    run = new_run(connect_timeout_s=0.5, ssh_timeout_attempts=2, ssh_timeout_interval=0.1)
    xen = known(sandbox, run, "xen")
    sandbox.hosts.cut_network(xen.instance_id)
    try:
        with pytest.raises(HostTimeout, match=r"no connection in 0\.5 s"):
            run.host(xen, booting=True)
    finally:
        sandbox.hosts.mend_network(xen.instance_id)


def test_a_jump_host_has_its_key_checked(
    sandbox: LaunchedSandbox, new_run: Callable[..., Run], tmp_path: Path
) -> None:
    web, xen = (known(sandbox, new_run(), name) for name in ("web", "xen"))
    run = new_run(gateway=f"ubuntu@{xen.private_ip_address}")
    with pytest.raises(HostKeyError, match="is unknown") as raised:
        run.host(web)
    line = raised.value.advice.rpartition(": ")[2]
    assert line.startswith(f"{xen.private_ip_address} ")
    (tmp_path / "known_hosts").write_text(f"{line}\n")
    with run.host(web) as host:
        client = host.run(["sh", "-c", "echo $SSH_CLIENT"]).stdout
        assert client.split()[0] == xen.private_ip_address
        assert host.sudo(["whoami"]).stdout == "root\n"


def test_a_cut_cable_is_noticed(sandbox: LaunchedSandbox, new_run: Callable[..., Run]) -> None:
    run = new_run(connect_timeout_s=1, ssh_timeout_attempts=50, ssh_timeout_interval=0.1)
    xen = known(sandbox, run, "xen")
    with run.host(xen, booting=True) as host:
        process = host.start(["cat"])
        sandbox.hosts.cut_network(xen.instance_id)
        try:
            with pytest.raises(HostTimeout, match=r"cat printed nothing in 0\.5 s"):
                process.read_line(0.5)
            assert process.read_line(60) is None
            assert process.wait(30) == -1
            with pytest.raises(HostUnreachable):
                host.run(["true"])
        finally:
            sandbox.hosts.mend_network(xen.instance_id)


def test_an_sshd_that_is_killed(sandbox: LaunchedSandbox, new_run: Callable[..., Run]) -> None:
    run = new_run()
    web = known(sandbox, run, "web")
    with run.host(web) as host:
        process = host.start(["cat"])
        process.send(b"x\n")
        assert process.read_line(30) == "x"
        sandbox.hosts.run(web.instance_id, "pkill -KILL -f 'sshd: ubuntu'")
        assert process.read_line(30) is None
        assert process.wait(30) == -1
        with pytest.raises(HostUnreachable, match="the connection broke"):
            host.run(["true"])


@pytest.mark.parametrize("shell", ["bash", "fish", "tcsh"])
def test_the_users_shell_does_not_matter(
    sandbox: LaunchedSandbox, new_run: Callable[..., Run], shell: str
) -> None:
    path = shutil.which(shell)
    if not path:
        pytest.skip(f"there is no {shell} on this machine")
    run = new_run()
    xen = known(sandbox, run, "xen")
    files = "/home/ubuntu/.bashrc /home/ubuntu/.tcshrc /home/ubuntu/.config/fish/config.fish"
    script = (
        f"usermod -s {path} ubuntu; mkdir -p /home/ubuntu/.config/fish; "
        f"for f in {files}; do echo 'echo noise' >$f; done"
    )
    assert sandbox.hosts.run(xen.instance_id, script)[0] == 0
    try:
        with run.host(xen) as host:
            for call in (host.run, host.sudo):
                done = call(["printf", "%s|", "a b", "$HOME", "it's", "!", "\\", "\n"])
                assert (done.stdout, done.stderr) == ("a b|$HOME|it's|!|\\|\n|", "")
    finally:
        script = f"usermod -s /bin/bash ubuntu; rm -f {files}"
        assert sandbox.hosts.run(xen.instance_id, script)[0] == 0


def test_sudo_that_wants_a_password(sandbox: LaunchedSandbox, new_run: Callable[..., Run]) -> None:
    run = new_run()
    xen = known(sandbox, run, "xen")
    hide = "mkdir /root/sudoers; mv /etc/sudoers.d/* /root/sudoers/"
    assert sandbox.hosts.run(xen.instance_id, hide)[0] == 0
    try:
        with run.host(xen) as host:
            with pytest.raises(HostError, match=r"can't become root .*NOPASSWD"):
                host.sudo(["true"])
            assert host.run(["echo", "x"]).stdout == "x\n"
    finally:
        show = "mv /root/sudoers/* /etc/sudoers.d/; rmdir /root/sudoers"
        assert sandbox.hosts.run(xen.instance_id, show)[0] == 0
