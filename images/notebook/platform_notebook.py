"""An extension of a person's server: activity of busy kernels, and a token for the data of the project.

The hub stops a server without activity. A cell that calculates for hours and prints nothing sends no
message, so Jupyter itself reports no activity of it. The object store knows the accounts of a project, and
not those of people: the hub gives a token of the account of training jobs, for the object store.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.ioloop import IOLoop, PeriodicCallback

_BUSY_SECONDS = 30  # less than the interval in which the server reports its activity to the hub
_TOKEN_SECONDS, _AGAIN_SECONDS = 1200, 15  # of 3600, for which a token is valid
_KEY = "platform_busy"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "platform_notebook"}]


def _load_jupyter_server_extension(server: Any) -> None:
    # When all extensions are loaded: JupyterLab sets it when it is loaded.
    IOLoop.current().add_callback(forget_token, server.web_app.settings)
    PeriodicCallback(lambda: note(server), _BUSY_SECONDS * 1000).start()
    if "DATA_TOKEN_AUDIENCE" in os.environ:
        IOLoop.current().add_callback(keep_token, server.log)


def forget_token(settings: dict[str, Any]) -> None:
    """Keep the token of the server out of the page: JupyterLab would send it in place of the cookie, and the
    gateway takes no such request."""
    settings.setdefault("page_config_data", {})["token"] = ""


def note(server: Any) -> None:
    """Set the time of the last activity to now if a kernel is busy."""
    kernels = server.kernel_manager.list_kernels()
    if any(each.get("execution_state") == "busy" for each in kernels):
        server.web_app.settings["last_activity_times"][_KEY] = datetime.now(UTC)


async def keep_token(log: Any) -> None:
    """Store a token of now, and come back before it ends."""
    seconds = _TOKEN_SECONDS
    try:
        await store_token()
    except (OSError, HTTPError) as error:
        log.warning("no token for the data of the project: %s", error)
        seconds = _AGAIN_SECONDS
    IOLoop.current().call_later(seconds, keep_token, log)


async def store_token() -> None:
    """Ask the hub for a token, and replace the file that AWS SDKs read. Raises OSError, HTTPError."""
    query = urlencode({"audience": os.environ["DATA_TOKEN_AUDIENCE"]})
    url = f"{os.environ['JUPYTERHUB_API_URL']}/platform/token?{query}"
    headers = {"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}"}
    answer = await AsyncHTTPClient().fetch(url, headers=headers)
    target = Path(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"])
    target.parent.mkdir(mode=0o700, exist_ok=True)
    written = target.with_suffix(".new")
    written.touch(mode=0o600)
    written.write_text(json.loads(answer.body)["token"])
    written.replace(target)
