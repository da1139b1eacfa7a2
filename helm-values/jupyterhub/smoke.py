"""Smoke test of notebooks: a member with `edit` starts one, its kernel calculates; no other person opens it.

The project exists for this test; data-scientists have `edit` in it, viewers `view`. All goes through the
gateway, with logins of people who exist for this test.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from apiserver import PROJECT, items
from browser import Refused
from browsing import NOTEBOOKS, Browser
from probes import Probes, patiently
from sessions import ADMINISTRATOR, MEMBER, VIEWER, Notebook, NotYetError, people, started

HUB = os.environ["HUB"]


_COMMAND = """
import subprocess
def command(*words):
    done = subprocess.run(["mlops-platform", *words], capture_output=True, text=True)
    print(done.stdout or " ".join(done.stderr.split()))
"""


def probe(probes: Probes) -> None:
    known = people()
    strangers(probes)
    if not known:  # another issuer: the test cannot log in
        return
    owner, browser = known[MEMBER], Browser()
    with started(probes, owner, browser) as running:
        if not running:
            return
        mine, kernel = running
        with probes.works("its kernel answers over a websocket"):
            assert mine.run(kernel, "1+1") == "2"
        with probes.works("the notebook is a pod of the project, as an account of the person"):
            account = _pod()["spec"]["serviceAccountName"]
            assert account.startswith("notebook-"), account
        inside(probes, mine, kernel)
        others(probes, known, owner["name"], browser)
        with probes.works("a stopped notebook keeps its file"):
            mine.run(kernel, "open('/home/work/kept', 'w').write('kept')")
            mine.stop()
            patiently(lambda: mine.require_state("stopped"), NotYetError)
            mine.start()
            patiently(lambda: mine.require_state("ready"), NotYetError)
            mine.open()
            assert mine.run(mine.kernel(), "print(open('/home/work/kept').read())") == "kept\n"


def inside(probes: Probes, mine: Notebook, kernel: str) -> None:
    """What the code of a person may not do."""
    asks = """
import os, urllib.request, urllib.error
def ask(url, **headers):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
api, token = os.environ['JUPYTERHUB_API_URL'], os.environ['JUPYTERHUB_API_TOKEN']
"""
    mine.run(kernel, asks)
    notebook = f"http://{_pod()['status']['podIP']}:8888"
    for name, call, expected in (
        ("the list of people", "ask(api + '/users', Authorization='token ' + token)", "403"),
        ("the login as another person", "ask(api[:-4] + '/login', **{'X-Platform-Proxy': 'guess', "
         "'X-Forwarded-Preferred-Username': 'root', 'X-Forwarded-User': 'root'})", "403"),
        ("the files of a notebook, without its token", f"ask('{notebook}' + "
         "os.environ['JUPYTERHUB_SERVICE_PREFIX'] + 'api/contents')", "403"),
    ):  # fmt: skip
        with probes.refused(f"{name}, to the code of a notebook", Refused, expected):
            raise Refused(mine.run(kernel, f"print({call})"))
    mine.run(kernel, _COMMAND)
    with probes.works("the command line lists the jobs of the project"):
        assert mine.run(kernel, "command('job', 'list')").strip() == f"no jobs in {PROJECT}"
    with probes.refused("commands of the platform, to the terminal of a notebook", Refused, "not available"):
        raise Refused(mine.run(kernel, "command('up')"))
    for name, right in (("Secrets", "v1/namespaces/{p}/secrets"), ("pods of others", "v1/pods")):
        path = f"/api/{right.format(p=PROJECT)}"
        code = f"""
import ssl
def get(path):
    folder = '/var/run/secrets/kubernetes.io/serviceaccount/'
    host = os.environ['KUBERNETES_SERVICE_HOST'] + ':' + os.environ['KUBERNETES_SERVICE_PORT']
    request = urllib.request.Request('https://' + host + path)
    request.add_header('Authorization', 'Bearer ' + open(folder + 'token').read())
    try:
        context = ssl.create_default_context(cafile=folder + 'ca.crt')
        return urllib.request.urlopen(request, timeout=10, context=context).status
    except urllib.error.HTTPError as error:
        return error.code
print(get({path!r}))
"""
        with probes.refused(f"{name}, to the code of a notebook", Refused, "403"):
            raise Refused(mine.run(kernel, code))


def others(probes: Probes, known: Mapping[str, Mapping[str, str]], owner: str, left: Browser) -> None:
    """What other people may not do, also with cookies that the owner has left in the browser."""
    kept = {place: value for place, value in left.cookies.items() if "mlops_platform" not in place[2]}
    for group, who in ((VIEWER, "a member with `view`"), (ADMINISTRATOR, "an administrator, no member")):
        browser = Browser()
        theirs = Notebook(browser, owner)
        browser.enter(known[group])
        browser.home()
        with probes.refused(f"a start, to {who}", Refused, "may not create servers"):
            Notebook(browser, known[group]["name"]).start()
        with probes.refused(f"the notebook of another person, to {who}", Refused, "403"):
            theirs.open()
        with probes.refused(f"a websocket of it, to {who}", Refused, "403"):
            browser.websocket(f"{theirs.url}api/kernels/x/channels")
        browser.cookies.update(kept)
        with probes.refused(f"it, with cookies that its owner has left, to {who}", Refused, "403"):
            theirs.open()


def strangers(probes: Probes) -> None:
    with probes.refused("a page without a login", Refused, "401"):
        Browser().must(f"{NOTEBOOKS}/hub/api/user")
    with probes.refused("the hub, to a caller who knows no proxy secret", Refused, "403"):
        _ask(f"{HUB}/hub/login", {"X-Forwarded-User": "root", "X-Forwarded-Preferred-Username": "root"})
    with probes.refused("the list of people, without a token", Refused, "403"):
        _ask(f"{HUB}/hub/api/users", {})


def _ask(url: str, headers: Mapping[str, str]) -> None:
    try:
        urlopen(Request(url, headers=dict(headers)), timeout=20).read()  # noqa: S310 - http
    except HTTPError as error:
        raise Refused(f"{error.code} {error.reason}") from None


def _pod() -> dict[str, Any]:
    found = items("v1", "pods", "component=singleuser-server")
    assert len(found) == 1, [each["metadata"]["name"] for each in found]
    return found[0]


def write(probes: Probes) -> None:
    """Leave a notebook that runs, with a value in the memory of its kernel."""
    known = people()
    if not known:
        return
    browser = Browser()
    mine = Notebook(browser, known[MEMBER]["name"])
    with probes.works("a kernel has a value"):
        browser.enter(known[MEMBER])
        browser.home()
        mine.start()
        patiently(lambda: mine.require_state("ready"), NotYetError)
        mine.open()
        assert mine.run(mine.kernel(), "survives = 42") == ""


def read(probes: Probes) -> None:
    known = people()
    if not known:
        return
    browser = Browser()
    mine = Notebook(browser, known[MEMBER]["name"])
    with probes.works("a new hub leaves the notebook and its kernel alone"):
        browser.enter(known[MEMBER])
        patiently(browser.home, Refused)
        patiently(mine.open, Refused)
        (kernel,) = browser.must(f"{mine.url}api/kernels").json
        assert mine.run(kernel["id"], "print(survives)") == "42\n"
    mine.stop()


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": write, "read": read}[act](running)
    running.end()
