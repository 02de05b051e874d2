"""A headless Chromium, driven through chromedriver by the WebDriver protocol itself.

Source: https://www.w3.org/TR/webdriver2/.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

NEEDED = ("chromium", "chromedriver")
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Right": "\ue014"}
_STARTED = re.compile(r"started successfully on port (\d+)")


def why_not() -> str:
    """Answer why there is no browser here, or ``""``."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if not missing:
        return ""
    return f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver"


class Browser:
    """One window."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Answer what the driver answers to a command."""
        data = json.dumps(body).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"}
        request = Request(self._url + path, data=data, headers=headers, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path) -> None:
        """Open a file."""
        self.ask("POST", "/url", url=page.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """Answer what a piece of JavaScript returns."""
        return self.ask("POST", "/execute/sync", script=script, args=list(arguments))

    def press(self, *keys: str) -> None:
        """Press keys, one after the other: characters, or the names in :data:`KEYS`."""
        actions = []
        for key in (KEYS.get(name, name) for name in keys):
            actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("POST", "/actions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def point_at(self, x: float, y: float) -> None:
        """Move the mouse there."""
        move = {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}
        mouse = {"type": "pointer", "id": "mouse", "actions": [move]}
        self.ask("POST", "/actions", actions=[mouse])

    def cdp(self, command: str, **parameters: Any) -> Any:
        """Send a command of Chromium's own protocol."""
        return self.ask("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def media(self, kind: str = "", scheme: str = "light") -> None:
        """Make believe that the page is printed, or that the person likes it dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.cdp("Emulation.setEmulatedMedia", media=kind, features=[feature])

    def size(self, width: int, height: int) -> None:
        """Set the window's inner size."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def screenshot(self, target: Path) -> None:
        """Write what is to be seen as PNG."""
        target.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Answer what has been logged since it was asked for the last time."""
        found: list[dict[str, Any]] = self.ask("POST", "/se/log", type=kind)
        return found


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own; it and its driver end with the context."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert driver.stdout
    try:
        port = next(found[1] for line in driver.stdout if (found := _STARTED.search(line)))
        root = Browser(f"http://127.0.0.1:{port}")
        options = {
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--force-color-profile=srgb", f"--user-data-dir={profile}",
            ],
            "binary": shutil.which("chromium"),
        }  # fmt: skip
        capabilities = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = root.ask("POST", "/session", capabilities={"alwaysMatch": capabilities})
        window = Browser(f"http://127.0.0.1:{port}/session/{session['sessionId']}")
        try:
            yield window
        finally:
            window.ask("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(10)
        driver.stdout.close()
