"""What an instance is told at its first boot: keys, and user data as cloud-init reads it."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ec2_sandbox.hosts.template import USER

_FIRST_BOOT = """\
# What cloud-init does before sshd starts, once an instance id.
cloud=/run/cloud
[ "$(cat /var/lib/cloud/instance-id 2>/dev/null)" = {instance_id} ] && exit 0
echo {host_name} >/etc/hostname
echo {machine_id} >/etc/machine-id
printf '127.0.0.1 localhost\\n{address} {host_name}\\n' >/etc/hosts
rm -f /etc/ssh/ssh_host_*
if [ -d $cloud/host_keys ]; then
    cp $cloud/host_keys/* /etc/ssh/
    chmod 600 /etc/ssh/ssh_host_*_key
else
    ssh-keygen -q -t ed25519 -N '' -C root@{host_name} -f /etc/ssh/ssh_host_ed25519_key
    ssh-keygen -q -t ecdsa -N '' -C root@{host_name} -f /etc/ssh/ssh_host_ecdsa_key
fi
install -d -m 700 -o {user} -g {user} /home/{user}/.ssh
# Keys that are there already, as on a root made of a snapshot, stay.
keys=/home/{user}/.ssh/authorized_keys
touch $keys
grep -vxFf $keys $cloud/authorized_keys >$cloud/new_keys || true
cat $cloud/new_keys >>$keys
chmod 600 $keys
chown {user}:{user} $keys
cat $cloud/fstab >>/etc/fstab
while read -r _ point _; do
    mkdir -p "$(printf %b "$point")"
done <$cloud/fstab
{write_files}
echo {instance_id} >/var/lib/cloud/instance-id
touch $cloud/first
"""
_FINAL = """\
# What cloud-init does when all is up: the user's scripts, then the host keys to the console.
[ -e /run/cloud/first ] || exit 0
rm /run/cloud/first
for script in /run/cloud/scripts/*; do
    [ -e "$script" ] && "$script"
done
echo '-----BEGIN SSH HOST KEY KEYS-----'
cat /etc/ssh/ssh_host_*_key.pub
echo '-----END SSH HOST KEY KEYS-----'
echo "Cloud-init v. 24.1 finished at $(date -R). Datasource DataSourceEc2Local."
mkdir -p /var/lib/cloud/instance
touch /var/lib/cloud/instance/boot-finished
"""


@dataclass(frozen=True)
class FirstBoot:
    """What there is to know at the first boot."""

    instance_id: str
    address: str
    authorized_keys: Sequence[str] = ()
    user_data: bytes = b""
    fstab: Sequence[str] = ()

    @property
    def host_name(self) -> str:
        """The name that EC2 gives by the address."""
        return f"ip-{self.address.replace('.', '-')}"

    def write(self, folder: Path) -> None:
        """Writes it all into a folder, for the scripts that the instance runs."""
        folder.mkdir()
        config, script = read_user_data(self.user_data)
        keys = [*self.authorized_keys, *_list(config.get("ssh_authorized_keys"))]
        (folder / "authorized_keys").write_text("".join(f"{key.strip()}\n" for key in keys))
        (folder / "fstab").write_text("".join(f"{line}\n" for line in self.fstab))
        _write_host_keys(folder, config.get("ssh_keys") or {})
        files = "".join(
            _write_file(folder, number, each)
            for number, each in enumerate(_list(config.get("write_files")))
        )
        scripts = [script] if script else []
        if config.get("runcmd"):
            scripts.append(_runcmd(config["runcmd"]))
        for number, text in enumerate(scripts):
            _executable(folder / "scripts" / f"{number:03}", text)
        first = _FIRST_BOOT.format(
            instance_id=self.instance_id,
            host_name=self.host_name,
            machine_id=hashlib.md5(self.instance_id.encode()).hexdigest(),  # noqa: S324 - a name
            address=self.address,
            user=USER,
            write_files=files,
        )
        (folder / "first-boot").write_text(first)
        (folder / "final").write_text(_FINAL)


def read_user_data(data: bytes) -> tuple[Mapping[str, Any], bytes]:
    """Answers the cloud-config that user data is, and the script that it is: one of them empty."""
    if data.startswith(b"#!"):
        return {}, data
    if not data.startswith(b"#cloud-config"):
        return {}, b""
    import yaml

    try:
        config = yaml.safe_load(data)
    except yaml.YAMLError:
        return {}, b""
    return (config if isinstance(config, dict) else {}), b""


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _write_host_keys(folder: Path, keys: Mapping[str, str]) -> None:
    """Writes ``ed25519_private`` as sshd's file ssh_host_ed25519_key, public ones with .pub."""
    for name, text in keys.items():
        kind, _, half = name.partition("_")
        target = folder / "host_keys" / f"ssh_host_{kind}_key{'.pub' if half == 'public' else ''}"
        target.parent.mkdir(exist_ok=True)
        target.write_text(f"{text.strip()}\n")


def _write_file(folder: Path, number: int, wanted: Mapping[str, Any]) -> str:
    """Lays one of ``write_files`` ready; answers the commands that put it in place."""
    content = wanted.get("content") or ""
    data = content if isinstance(content, bytes) else str(content).encode()
    if wanted.get("encoding") in ("b64", "base64"):
        data = base64.b64decode(data)
    source = folder / "files" / str(number)
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(data)
    path = shlex.quote(str(wanted["path"]))
    permissions = wanted.get("permissions") or "0644"
    mode = f"{permissions:04o}" if isinstance(permissions, int) else str(permissions)
    operator = ">>" if wanted.get("append") else ">"
    return (
        f'mkdir -p "$(dirname {path})"\ncat $cloud/files/{number} {operator} {path}\n'
        f"chmod {shlex.quote(mode)} {path}\n"
        f"chown {shlex.quote(str(wanted.get('owner') or 'root:root'))} {path}\n"
    )


def _runcmd(commands: Any) -> bytes:
    """Writes ``runcmd`` as a script, as cloud-init does: lists quoted, texts as they are."""
    lines = [
        " ".join(shlex.quote(str(word)) for word in each) if isinstance(each, list) else str(each)
        for each in _list(commands)
    ]
    return "".join(["#!/bin/sh\n", *(f"{line}\n" for line in lines)]).encode()


def _executable(path: Path, text: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text)
    path.chmod(0o700)
