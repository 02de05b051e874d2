"""Host keys: what files and consoles say of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snapback.ssh.host_keys import HostKey, in_console, known_in

_BLOBS = {
    "ssh-ed25519": b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32)),
    "ssh-rsa": b"\0\0\0\x07ssh-rsa\0\0\0\x03\x01\x00\x01" + bytes(64),
}
ED = HostKey("ssh-ed25519", _BLOBS["ssh-ed25519"])
OTHER = HostKey("ssh-ed25519", _BLOBS["ssh-ed25519"][:-1] + b"x")
RSA = HostKey("ssh-rsa", _BLOBS["ssh-rsa"])

# What cloud-init writes, and what is before and after it on a console.
CONSOLE = f"""\
[    0.000000] Linux version 6.8.0-1021-aws
ci-info: | ens5 | True | 10.0.0.5 |
ec2: #############################################################
ec2: -----BEGIN SSH HOST KEY FINGERPRINTS-----
ec2: 256 {ED.fingerprint} root@ip-10-0-0-5 (ED25519)
ec2: -----END SSH HOST KEY FINGERPRINTS-----
-----BEGIN SSH HOST KEY KEYS-----\r
{ED.line("").strip()} root@ip-10-0-0-5\r
<14>Nov 25 01:00:00 cloud-init: {RSA.line("").strip()} root@ip-10-0-0-5\r
-----END SSH HOST KEY KEYS-----\r
[   12.1] cloud-init[900]: Cloud-init v. 24.1 finished
"""


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "k")], check=True
    )
    kind, encoded, *_ = (tmp_path / "k.pub").read_text().split()
    key = HostKey.read(kind, encoded)
    assert key
    said = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "k")], check=True, capture_output=True, text=True
    )
    assert key.fingerprint in said.stdout
    assert key.line("h") == f"h {kind} {encoded}"


@pytest.mark.parametrize(
    ("kind", "encoded"),
    [("ssh-ed25519", "%%%"), ("ssh-ed25519", "QUJD"), ("ssh-rsa", ED.line("").split()[1])],
)
def test_what_is_no_key(kind: str, encoded: str) -> None:
    assert HostKey.read(kind, encoded) is None


def test_the_keys_in_a_console_output() -> None:
    assert in_console(CONSOLE) == (ED, RSA)


def test_the_last_keys_in_a_console_output_count() -> None:
    again = CONSOLE.replace(ED.line("").strip(), OTHER.line("").strip())
    assert in_console(CONSOLE + again) == (OTHER, RSA)


@pytest.mark.parametrize(
    "text",
    ["", "booting", CONSOLE.partition("-----END SSH HOST KEY KEYS")[0], ED.line("")],
)
def test_a_console_output_without_keys(text: str) -> None:
    assert in_console(text) == ()


@pytest.mark.parametrize(
    ("names", "host", "known"),
    [
        ("web", "web", True),
        ("WEB", "web", True),
        ("web", "WEB", True),
        ("web,10.0.0.5", "10.0.0.5", True),
        ("web", "web2", False),
        ("[web]:2222", "[web]:2222", True),
        ("[web]:2222", "web", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com,!bad.example.com", "bad.example.com", False),
        ("10.0.0.?", "10.0.0.5", True),
        ("10.0.0.?", "10.0.0.55", False),
        ("10.0.0.5", "10a0b0c5", False),
        ("|1|broken", "web", False),
        ("|1|%|%", "web", False),
    ],
)
def test_the_names_in_a_known_hosts_file(names: str, host: str, known: bool) -> None:
    text = f"# a comment\n\nrubbish\n{ED.line(names)} somebody's comment\n"
    found = known_in(text, host)
    assert [one.key for one in found] == ([ED] if known else [])
    assert all(one.number == 4 for one in found)


def test_hashed_names(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"{ED.line('web')}\n{RSA.line('[web]:22022')}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    text = path.read_text()
    assert "web" not in text
    assert [one.key for one in known_in(text, "web")] == [ED]
    assert [one.key for one in known_in(text, "[web]:22022")] == [RSA]


def test_marked_lines() -> None:
    text = f"@revoked {ED.line('web')}\n@cert-authority {RSA.line('*')}\n@odd {RSA.line('web')}\n"
    assert [(one.key, one.revoked) for one in known_in(text, "web")] == [(ED, True)]
