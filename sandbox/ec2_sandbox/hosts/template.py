"""The system that instances boot: a small root file system; its /usr is this machine's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ec2_sandbox.hosts.programs import run

USER, UID = "ubuntu", 1000
MIB = 1 << 20
#: What is taken from this machine's /etc: it belongs to what is in /usr.
_ETC = (
    "alternatives", "bash.bashrc", "bash_completion.d", "csh.cshrc", "csh.login", "dbus-1",
    "debian_version", "fish", "init.d", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "localtime", "login.defs", "lvm", "mke2fs.conf", "pam.conf", "pam.d", "profile", "profile.d",
    "protocols", "rc0.d", "rc6.d", "security", "services", "shells", "skel", "ssl/openssl.cnf",
    "terminfo", "timezone", "xattr.conf",
)  # fmt: skip
_DIRECTORIES = {
    "boot": 0o755, "dev": 0o755, "etc/ssh": 0o755, "etc/sudoers.d": 0o750, "home": 0o755,
    "media": 0o755, "mnt": 0o755, "opt": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755,
    "srv": 0o755, "sys": 0o555, "tmp": 0o1777, "usr": 0o755, "var/cache": 0o755,
    "var/lib/cloud": 0o755, "var/log/journal": 0o755, "var/spool/cron": 0o755, "var/tmp": 0o1777,
    ".usr/work": 0o755, ".usr/upper/local/sbin": 0o755,
}  # fmt: skip
_LINKS = {
    "bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64",
    "var/run": "/run", "var/lock": "/run/lock", "etc/mtab": "/proc/self/mounts",
    "etc/os-release": "../usr/lib/os-release",
    "etc/systemd/system/default.target": "/usr/lib/systemd/system/multi-user.target",
    "etc/systemd/system/multi-user.target.wants/ssh.service": "/usr/lib/systemd/system/ssh.service",
    "etc/systemd/system/multi-user.target.wants/cloud-final.service": "../cloud-final.service",
    **{
        f"etc/systemd/system/{unit}": "/dev/null"
        for unit in (
            "dev-hugepages.mount", "getty.target", "sys-fs-fuse-connections.mount",
            "sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
        )
    },
}  # fmt: skip
_FILES = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/bash\n"
        "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
        "bin:x:2:2:bin:/bin:/usr/sbin/nologin\n"
        "sys:x:3:3:sys:/dev:/usr/sbin/nologin\n"
        "mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n"
        "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
        "systemd-network:x:998:998::/:/usr/sbin/nologin\n"
        "messagebus:x:100:107::/nonexistent:/usr/sbin/nologin\n"
        "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
        "postgres:x:102:109:PostgreSQL:/var/lib/postgresql:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        f"{USER}:x:{UID}:{UID}:Ubuntu:/home/{USER}:/bin/bash\n"
    ),
    "etc/group": (
        "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:ubuntu\ntty:x:5:\ndisk:x:6:\n"
        "lp:x:7:\nmail:x:8:\nkmem:x:15:\ndialout:x:20:\ncdrom:x:24:\nsudo:x:27:ubuntu\n"
        "audio:x:29:\nwww-data:x:33:\nshadow:x:42:\nutmp:x:43:\nvideo:x:44:\nstaff:x:50:\n"
        "users:x:100:\nsystemd-journal:x:999:\nsystemd-network:x:998:\ninput:x:106:\n"
        "messagebus:x:107:\npostgres:x:109:\nrender:x:110:\nkvm:x:111:\nsgx:x:112:\n"
        f"nogroup:x:65534:\n{USER}:x:{UID}:\n"
    ),
    "etc/shadow": f"root:*:19700:0:99999:7:::\n{USER}:*:19700:0:99999:7:::\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "etc/host.conf": "multi on\n",
    "etc/resolv.conf": "",
    "etc/fstab": "",
    # /sys/block is not the kernel's: without this udev's library, and lsblk, would not look there.
    "etc/environment": "SYSTEMD_DEVICE_VERIFY_SYSFS=0\n",
    "etc/sudoers": (
        'Defaults env_reset\nDefaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:'
        '/usr/bin:/sbin:/bin"\nroot ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n'
    ),
    "etc/sudoers.d/90-cloud-init-users": f"{USER} ALL=(ALL) NOPASSWD:ALL\n",
    "etc/ssh/sshd_config": (
        "UsePAM yes\nUseDNS no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nPrintMotd no\nMaxStartups 100\n"
        "Subsystem sftp /usr/lib/openssh/sftp-server\n"
    ),
    "etc/systemd/system/cloud-final.service": (
        "[Unit]\nDescription=What cloud-init does when all is up\n"
        "After=ssh.service systemd-user-sessions.service\n"  # before, pam_nologin lets nobody in
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre=touch /run/cloud/ready\n"
        "ExecStart=sh /run/cloud/final\nStandardOutput=append:/dev/console\n"
        "StandardError=append:/dev/console\nTimeoutStartSec=0\n"
    ),
    f"home/{USER}/.bashrc": "# ~/.bashrc\n",
    f"home/{USER}/.profile": "[ -f ~/.bashrc ] && . ~/.bashrc\n",
}
_SHUTDOWN = """#!/bin/sh
# Turns the instance off, or boots it again, by whatever its PID 1 is; `shutdown +60` does so in so
# many minutes, and tells when in systemd's file. A test may shorten the minute: /run/cloud/minute.
how=$(basename "$0")
if [ "$how" = shutdown ]; then
    scheduled=/run/systemd/shutdown/scheduled
    if [ -e $scheduled ]; then
        pid=$(sed -n 's/^PID=//p' $scheduled)
        kill -TERM "-$pid" 2>/dev/null || kill -TERM "$pid"
        rm $scheduled
    fi
    how=poweroff minutes=
    for word; do
        case $word in -c) exit 0 ;; -r) how=reboot ;; +*) minutes=${word#+} ;; esac
    done
    if [ "${minutes:-0}" -gt 0 ]; then
        mkdir -p ${scheduled%/*}
        minute=$(cat /run/cloud/minute 2>/dev/null || echo 60)
        at=$(($(date +%s) + 60 * minutes))
        setsid sh -c 'sleep "$1"; exec "$2"' sh \
            "$(echo "$minutes $minute" | awk '{print $1 * $2}')" "$how" </dev/null >/dev/null 2>&1 &
        printf 'USEC=%s000000\nMODE=%s\nPID=%s\n' $at $how $! >$scheduled
        exit 0
    fi
fi
[ -d /run/systemd/system ] && exec systemctl "$how"
case $how in reboot) kill -TERM 1 ;; *) kill -USR2 1 ;; esac
"""
_PRIVATE = {"etc/shadow": 0o640, "etc/sudoers": 0o440, "etc/sudoers.d/90-cloud-init-users": 0o440}


def make_root(image: Path, size: int, skeleton: Path, partitioned: bool) -> None:
    """Makes a root file system in a sparse file.

    :param size: in bytes
    :param skeleton: a folder of what is to be in it, made here when it isn't there yet
    :param partitioned: as Ubuntu's images are: a GPT with the root, a BIOS boot and an EFI
        partition, 1, 14 and 15
    """
    if not skeleton.exists():
        _make_skeleton(skeleton)
    image.touch(0o600)
    os.truncate(image, size)
    offset, end = 0, size
    if partitioned:
        run(["sfdisk", "-q", str(image)], stdin=_GPT)
        offset, end = 228 * MIB, size - MIB
    run([
        "mkfs.ext4", "-q", "-F", "-L", "cloudimg-rootfs", "-d", str(skeleton),
        "-E", f"nodiscard,lazy_itable_init=1,lazy_journal_init=1,offset={offset}",
        str(image), f"{(end - offset) // 1024}k",
    ])  # fmt: skip


_GPT = """label: gpt
1 : start=228MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
14 : start=1MiB, size=4MiB, type=21686148-6449-6E6F-744E-656564454649
15 : start=5MiB, size=106MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
"""


def _make_skeleton(skeleton: Path) -> None:
    skeleton.mkdir(mode=0o755)
    for name, mode in _DIRECTORIES.items():
        (skeleton / name).mkdir(parents=True)
        (skeleton / name).chmod(mode)
    for name, target in _LINKS.items():
        (skeleton / name).parent.mkdir(parents=True, exist_ok=True)
        (skeleton / name).symlink_to(target)
    for name in _ETC:
        _take(Path("/etc", name), skeleton / "etc" / name)
    home = skeleton / "home" / USER
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    for name, text in _FILES.items():
        file = skeleton / name
        file.write_text(text)
        file.chmod(_PRIVATE.get(name, 0o644))
    os.chown(skeleton / "etc/shadow", 0, 42)
    for name in ("shutdown", "poweroff", "halt", "reboot"):
        script = skeleton / ".usr/upper/local/sbin" / name
        script.write_text(_SHUTDOWN)
        script.chmod(0o755)
    for path in (home, *home.rglob("*")):
        os.chown(path, UID, UID)


def _take(source: Path, target: Path) -> None:
    """Copies a file or a folder of this machine, links as links; nothing if it isn't there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() or source.is_file():
        shutil.copy2(source, target, follow_symlinks=False)
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True)
