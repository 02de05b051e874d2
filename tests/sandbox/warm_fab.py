"""The real programs, run many times: each a process of its own, forked off one that is loaded.

Most of what a short run takes is to load Fabric, boto3 and pydantic, and the tests run hundreds.
What the first load brings along, and Python's own end, is tested apart, with the program itself:
see test_program.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import IO, Any, NoReturn

import botocore.session
from botocore.loaders import create_loader

import snapback

ROOT = Path(__file__).resolve().parents[2]
ANY = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}


class WarmFab:
    """Runs ``fab`` and ``snapback``; the process that is forked is started when it is first needed.

    :ivar root: the folder whose snapback it runs.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self._server: subprocess.Popen[str] | None = None

    def run(
        self,
        argv: list[str],
        environment: Mapping[str, str],
        out: Path,
        err: Path,
        folder: Path | None = None,
    ) -> int:
        """Run ``fab`` or ``snapback`` to its end; return its exit code.

        :param argv: the program's name, and its arguments.
        :param out: the file that its stdout goes to.
        :param err: the same for stderr.
        :param folder: where it runs; ``None``: in the current one.
        """
        asked = {
            "argv": argv,
            "environment": dict(environment),
            "folder": str(folder or Path.cwd()),
            "streams": [os.devnull, str(out), str(err)],
        }
        try:
            to, answers = self._pipes()
            to.write(json.dumps(asked) + "\n")
            to.flush()
            return int(answers.readline())
        except BaseException:  # a test that took too long, too: the next one gets a new process
            self.close()
            raise

    def close(self) -> None:
        """End the process, and a run that is under way."""
        if self._server:
            with self._server as server:
                os.killpg(server.pid, signal.SIGKILL)
            self._server = None

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.sandbox.warm_fab"], cwd=self.root, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        assert self._server.stdin
        assert self._server.stdout
        return self._server.stdin, self._server.stdout


def serve() -> None:
    """Fork a run for each line of stdin, answer its exit code on stdout."""
    for module in walk_packages(snapback.__path__, "snapback."):
        if module.name != "snapback.run.dask":  # an extra
            import_module(module.name)
    with suppress(ImportError):  # an extra of ours
        import_module("distributed")
    share_what_botocore_reads()
    for service in ("ec2", "sts"):
        botocore.session.Session().create_client(service, "us-east-1", **ANY).close()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def share_what_botocore_reads() -> None:
    """Have all sessions read botocore's data by one loader, which keeps what it has read.

    Else each session reads megabytes of JSON anew, all that EC2's API is.
    """
    botocore.session.create_loader = cache(create_loader)


def run(asked: Mapping[str, Any]) -> None:
    """Be the program from here on, to the end of the process."""
    for number, path in enumerate(asked["streams"]):
        stream = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["argv"]
    if asked["argv"][0] == "snapback":
        from snapback.tasks import program
    else:
        from fabric.main import program

    try:
        program.run()
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        end(ended.code)
    end(0)


def end(code: int) -> NoReturn:
    """End the process as Python does, but leave it to the kernel to free the memory.

    Python would take apart all that is loaded, piece by piece: that takes longer than most runs.
    """
    threading._shutdown()  # waits for the threads, those that aren't daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
