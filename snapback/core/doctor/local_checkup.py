"""What `doctor` says of what is on this machine: files to write, commands to run, whom to tell.

Pure: whoever looks hands in what was seen.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from snapback.core.doctor.checkup import Level, Line

_COMPOUND = {
    "!", "{", "}", "[[", "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done",
    "case", "esac", "function",
}  # fmt: skip
_PUNCTUATION = ";&|()<>\n"
_GIVEN_VARIABLE = re.compile(r"[A-Za-z_]\w*=")
_EXPANDED = set("$`*?[]{}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def judge_configuration(
    text: str, path: str, *, found_here: bool, is_meant: bool, doubts: Sequence[str]
) -> Line:
    """Judge whether the configuration in force is the one that other runs will use, and safe.

    :param text: which it is, and how it was chosen.
    :param found_here: whether it was found in the current folder.
    :param is_meant: whether there is a file, or the defaults were asked for.
    :param doubts: why others than root and the caller may have written it.
    """
    advice = []
    if not is_meant:
        advice.append(
            "write one, and name it in SNAPBACK_CONFIG: trim_snapshots and "
            "delete_broken_snapshots are refused without"
        )
    if found_here:
        advice.append(
            f"set SNAPBACK_CONFIG={path} in crontabs and units: cron starts in another folder, and "
            "won't find it"
        )
    if doubts:
        advice.append("let nobody but root and its user write to it, or to its folder")
    return Line(
        check="configuration",
        subject=path or "none",
        level=Level.WARNING if advice else Level.OK,
        text="; ".join([text, *doubts]),
        advice="; ".join(advice),
    )


def judge_file(check: str, path: str, hindrance: str, advice: str) -> Line:
    """Judge whether a file can be written.

    :param hindrance: what is in the way, a path; or ``""``.
    :param advice: what to do about that.
    """
    return Line(
        check=check,
        subject=path,
        level=Level.FAILURE if hindrance else Level.OK,
        text=f"can't be written: see {hindrance}" if hindrance else "can be written",
        advice=advice if hindrance else "",
    )


def judge_daemon(name: str, where: str, problem: str) -> Line:
    """Judge whether a daemon that takes the log is there."""
    return Line(
        check="log",
        subject=f"{name} {where}",
        level=Level.FAILURE if problem else Level.OK,
        text=problem or ("takes lines" if "/" in where else "is sent lines; UDP answers nothing"),
        advice=f"see logging.{name}" if problem else "",
    )


def programs_in(command: str) -> list[str]:
    """Answer the programs that a command line names, as far as that can be told without a shell.

    None of one with loops, conditions and the like.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        return list(dict.fromkeys(_programs(list(lexer))))
    except ValueError:
        return []


def _programs(words: list[str]) -> Iterator[str]:
    """Answer each word that stands where a program does.

    :raises ValueError: it can't be told.
    """
    at_command, is_file = True, False
    for word in words:
        if set(word) <= set(_PUNCTUATION):
            if word.startswith("(("):
                raise ValueError("arithmetic")
            is_file = "<" in word or ">" in word
            at_command = at_command if is_file else word != ")"
        elif is_file:
            is_file = False
        elif at_command and not _GIVEN_VARIABLE.match(word):
            if word in _COMPOUND:
                raise ValueError("compound")
            if not set(word) & _EXPANDED:
                yield word
            at_command = False


@dataclass(frozen=True, kw_only=True)
class HookFacts:
    """What was seen of a command.

    :ivar name: the setting's.
    :ivar problem: why sh can't read it, or ``""``.
    :ivar found: where the programs are that it names.
    :ivar missing: those that can't be run, and why.
    """

    name: str
    problem: str = ""
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def judge_hook(facts: HookFacts) -> Line:
    """Judge a command that tells of a task; it is not run, and its words may be secret."""
    level, advice = Level.OK, ""
    if facts.problem:
        level, text = Level.FAILURE, f"sh can't read it: {facts.problem}"
        advice = "mend the command line: nobody would be told"
    elif facts.missing:
        level, text = Level.FAILURE, "; ".join(facts.missing)
        advice = "install it, or name its whole path: nobody would be told"
    elif facts.found:
        text = f"calls {', '.join(facts.found)}"
    else:
        text = "sh can read it; what it calls can't be told without running it"
    return Line(check="hook", subject=facts.name, level=level, text=text, advice=advice)


def judge_ping(name: str, url: str) -> Line:
    """Judge the address of a monitor; to ask for it would tell that a task ran."""
    parts = urlsplit(url)
    in_clear = parts.scheme == "http" and parts.hostname not in _LOOPBACK
    return Line(
        check="ping",
        subject=name,
        level=Level.WARNING if in_clear else Level.OK,
        text=f"well-formed, {parts.scheme} at {parts.hostname}",
        advice="use https: whoever has the address can say that all is well" if in_clear else "",
    )
