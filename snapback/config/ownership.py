"""Who may have written a configuration file. Its hooks run commands, so that matters.

A folder counts as well as the file: whoever may write to it may put another file there.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

ROOT = 0


def doubts_about(path: Path) -> tuple[str, ...]:
    """Return why others than root and the caller may have written a file; empty: none may have.

    Looks at the file, at the link that leads to it, and at the folders of both.
    """
    target = path.resolve()
    folders = dict.fromkeys((path.parent.resolve(), target.parent))
    found = [_of_owner("it", target.stat()), _of_writers("it", target.stat())]
    if path.is_symlink():  # a link's own mode means nothing
        found.append(_of_owner("the link", path.lstat()))
    for folder in folders:
        told = folder.stat()
        name = f"its folder {folder}"
        found += [_of_owner(name, told), _of_writers(name, told)]
    return tuple(filter(None, found))


def _of_owner(name: str, told: os.stat_result) -> str:
    if told.st_uid in (ROOT, os.geteuid()):
        return ""
    return f"{name} belongs to {_user(told.st_uid)}"


def _of_writers(name: str, told: os.stat_result) -> str:
    # The sticky bit of /tmp keeps others from replacing a file, not from being there first.
    if told.st_mode & stat.S_IWOTH:
        return f"everybody may write to {name}"
    if told.st_mode & stat.S_IWGRP and not _is_private(told.st_gid):
        return f"the group {_group(told.st_gid)} may write to {name}"
    return ""


def _is_private(gid: int) -> bool:
    """Return whether a group is that of root, or of the caller, alone.

    Many distributions give each user a group of the same name, and a umask of 002: what such a user
    makes may be written by that group.
    """
    return any(gid == user.pw_gid and _has_nobody_else(gid, user) for user in _trusted())


def _trusted() -> Iterator[pwd.struct_passwd]:
    for uid in {ROOT, os.geteuid()}:
        try:
            yield pwd.getpwuid(uid)
        except KeyError:  # as in a container that runs with a number only
            continue


def _has_nobody_else(gid: int, user: pwd.struct_passwd) -> bool:
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    # By name too, since a directory service (LDAP) seldom lists whose primary group this is.
    return (
        group.gr_name == user.pw_name
        and set(group.gr_mem) <= {user.pw_name, "root"}
        and all(one.pw_uid in (user.pw_uid, ROOT) for one in pwd.getpwall() if one.pw_gid == gid)
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
