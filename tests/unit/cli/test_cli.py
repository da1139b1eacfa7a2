"""The command line in real processes: exit codes, envelopes, no side effects, start-up time, completion."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform import __version__
from mlops_platform.adapters import programs
from mlops_platform.adapters.programs import ARCHITECTURE
from mlops_platform.cli import main

import tests

CASES = tests.CASES / "environments"
CLI = (sys.executable, "-m", "mlops_platform.cli")
HEAVY = (
    "kubernetes",
    "rich",
    "cryptography",
    "urllib3",
    "yaml",
    "mlops_platform.run.context",
    "mlops_platform.environment.model",
)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def run(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run the program in this process: in a folder of its own, with a home that does not exist yet."""
    monkeypatch.chdir(tmp_path)
    own = {"MLOPS_PLATFORM_HOME": str(home), "MLOPS_PLATFORM_CACHE": str(tmp_path / "cache")}

    def call(*args: str, **env: str) -> Answer:
        with monkeypatch.context() as patch, Path(os.devnull).open() as stdin:
            patch.setattr(sys, "argv", ["mlops-platform", *args])
            patch.setattr(sys, "stdin", stdin)
            for name, value in (own | env).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, out, err)

    return call


def test_policies_show_needs_no_cluster_and_writes_no_file(run: Run, home: Path) -> None:
    """The table, the JSON output and the manifests agree."""
    shown, answer = run("policies", "show"), run("policies", "show", "--output", "json")
    assert shown.code == answer.code == 0 and "from \\ to" in shown.out
    manifests = list(yaml.safe_load_all(run("policies", "show", "--yaml").out))
    assert manifests == answer.envelope["data"]["policies"]
    namespaces = {m["metadata"]["namespace"] for m in manifests}
    assert namespaces == {c["namespace"] for c in answer.envelope["data"]["components"]}
    assert len(manifests) == 3 * len(namespaces) and {m["kind"] for m in manifests} == {"NetworkPolicy"}
    assert not home.exists()


def test_help_names_every_command(run: Run) -> None:
    answer = run("--help")
    assert answer.code == 0
    for command in (
        "up",
        "down",
        "status",
        "smoke",
        "open",
        "unlock",
        "kubeconfig",
        "env",
        "policies",
        "user",
        "token",
        "trust",
        "cache",
    ):
        assert f"  {command} " in answer.out


@pytest.mark.parametrize(
    "args", [("nonsense",), ("up", "--nonsense"), ("logs",), ("open", "mlflow", "--port", "x")]
)
def test_wrong_command_line_exits_with_2_and_names_help(run: Run, args: tuple[str, ...]) -> None:
    answer = run(*args)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ") and "--help" in answer.err
    assert run(*args, "--output", "json").envelope["outcome"] == "usage"


def test_unknown_environment_lists_known_environments(run: Run, home: Path) -> None:
    for command in ("up", "status"):
        answer = run(command, "--env", "stagign")
        assert answer.code == 2, command
        assert "local" in answer.err
    assert not home.exists()


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_twenty_mistakes_exit_with_3_and_change_nothing(
    run: Run, home: Path, tmp_path: Path, command: str
) -> None:
    shutil.copy(CASES / "twenty.yaml", tmp_path / "twenty.yaml")
    answer = run(command, "--env", "twenty.yaml", "--output", "json")
    assert answer.code == answer.envelope["exit_code"] == 3
    problems = answer.envelope["error"]["problems"]
    assert len(problems) >= 20
    assert all(p["file"] and p["what"] for p in problems)
    assert not home.exists() and not (tmp_path / "cache").exists()


def test_env_list_show_and_schema(run: Run) -> None:
    rows = run("env", "list", "-o", "json").envelope["data"]["environments"]
    assert [(r["name"], r["state"]) for r in rows if r["name"] == "local"] == [("local", "-")]
    assert run("env", "show", "local", "-o", "json").envelope["data"]["cluster"]["provider"] == "host"
    assert "provider: host" in run("env", "show").out
    assert json.loads(run("env", "schema").out)["title"] == "mlops-platform environment"


def test_check_reports_every_check(run: Run) -> None:
    answer = run("check", "-o", "json")
    checks = {c["name"]: c for c in answer.envelope["data"]["checks"]}
    assert {"terraform", "disk", "memory"} <= checks.keys()
    failed = [c for c in checks.values() if c["status"] == "failure"]
    assert answer.code == (4 if failed else 0)


def test_check_names_the_helm_on_path(run: Run, tmp_path: Path) -> None:
    helm = tmp_path / "helm"
    helm.write_text("#!/bin/sh\necho v4.3.0\n")
    helm.chmod(0o755)
    answer = run("check", "-o", "json", PATH=f"{tmp_path}:{os.environ['PATH']}")
    checks = {c["name"]: c for c in answer.envelope["data"]["checks"]}
    assert checks["helm"]["seen"] == f"helm 4.3.0 from PATH: {helm}"


def test_check_requires_go_for_helm_on_a_processor_without_a_wheel(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "ARCHITECTURE", "riscv64")
    answer = run("check", "-o", "json", PATH=str(tmp_path))
    checks = {c["name"]: c for c in answer.envelope["data"]["checks"]}
    assert (checks["helm"]["status"], checks["helm"]["why"]) == ("failure", "go: no such program")


def test_check_without_terraform_reports_other_checks(run: Run) -> None:
    answer = run("check", "-o", "json", MLOPS_PLATFORM_TERRAFORM="/nonexistent/terraform")
    checks = {c["name"]: c for c in answer.envelope["data"]["checks"]}
    assert (answer.code, checks["terraform"]["status"], checks["terraform"]["fix"] != "") == (
        4,
        "failure",
        True,
    )
    assert "disk" in checks


def test_status_of_absent_environment_succeeds(run: Run, home: Path) -> None:
    answer = run("status", "-o", "json")
    assert (answer.code, answer.envelope["data"]) == (0, {"up": False, "rows": []})
    assert "mlops-platform up --env local" in run("status").out
    assert not home.exists()


FOREIGN = """\
name: foreign
domain: mlops.example.com
oidc:
  issuer: https://id.example.com/realms/ml
  clientId: mlops
  clientSecretFrom: {namespace: mlops-platform, name: oidc, key: secret}
cluster: {provider: host}
components: {oauth2-proxy: {}}
"""


@pytest.mark.parametrize(
    "args", [("user", "list"), ("user", "add", "ada", "-g", "viewers"), ("token", "ada")]
)
def test_user_commands_are_rejected_with_foreign_issuer(
    run: Run, home: Path, tmp_path: Path, args: tuple[str, ...]
) -> None:
    (tmp_path / "foreign.yaml").write_text(FOREIGN)
    answer = run(*args, "--env", "foreign.yaml")
    assert answer.code == 2
    assert "https://id.example.com/realms/ml" in answer.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("user", "add", "Ada", "-g", "viewers"), "not a valid user name"),
        (("user", "add", "smoke-ada", "-g", "viewers"), "not a valid user name"),
        (("user", "add", "ada"), "a user needs a group"),
        (("user", "add", "ada", "-g", "admins"), "platform-admins, data-scientists, viewers"),
        (
            ("user", "add", "ci", "-g", "viewers", "--machine", "--password-stdin"),
            "a machine has no password",
        ),
    ],
)
def test_invalid_user_is_rejected_before_first_request(run: Run, args: tuple[str, ...], words: str) -> None:
    answer = run(*args)
    assert answer.code == 2
    assert words in answer.err


@pytest.mark.parametrize(
    "args",
    [
        ("smoke",),
        ("open", "mlflow"),
        ("logs", "mlflow"),
        ("kubeconfig",),
        ("trust",),
        ("user", "list"),
        ("token", "ada"),
    ],
)
def test_command_that_needs_cluster_fails_if_not_up(run: Run, home: Path, args: tuple[str, ...]) -> None:
    answer = run(*args)
    assert answer.code == 5
    assert "local is not up" in answer.err and "mlops-platform up --env local" in answer.err
    assert not home.exists()


def test_component_without_source_is_rejected_before_first_step(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "theirs.yaml"
    there = {"provider": "existing", "kubeconfig": "/none", "context": "theirs", "storage_class": "standard"}
    components: dict[str, object] = {"postgres": {}, "minio": {}, "mlflow": {}}
    text = {"name": "theirs", "domain": "mlops.test", "cluster": there, "components": components}
    file.write_text(json.dumps(text))
    assert run("plan", "--env", str(file)).code == 3
    answer = run("up", "--env", str(file), "--yes")
    assert answer.code == 3
    for component in ("postgres", "minio", "mlflow"):
        assert f"{component} has no pinned chart" in answer.err
    assert "`registry`" in answer.err


def test_other_processor_is_rejected_before_first_step(run: Run, tmp_path: Path) -> None:
    other = {"amd64": "m7g.xlarge", "arm64": "m7i.xlarge"}[ARCHITECTURE]
    there = {
        "provider": "aws",
        "region": "eu-central-1",
        "system_pool": {"instance_type": other, "min": 2, "max": 2, "disk": 50},
    }
    text = {"name": "foreign", "domain": "mlops.test", "cluster": there, "components": {"postgres": {}}}
    (tmp_path / "foreign.yaml").write_text(json.dumps(text))
    for command in ("plan", "up"):
        answer = run(command, "--env", str(tmp_path / "foreign.yaml"))
        assert answer.code == 4
        assert f"this machine builds images for {ARCHITECTURE}, and the nodes are " in answer.err


@pytest.mark.parametrize("args", [("smoke", "mlfow"), ("open", "mlfow"), ("logs", "mlfow")])
def test_unknown_component_lists_known_components(run: Run, args: tuple[str, ...]) -> None:
    answer = run(*args)
    assert answer.code == 2
    assert "mlflow" in answer.err


def test_down_without_environment_writes_no_file(run: Run, home: Path) -> None:
    answer = run("down", "--yes", "-o", "json", MLOPS_PLATFORM_ENV="local")
    assert (answer.code, answer.envelope["data"]["left"]) == (0, [])
    assert not home.exists()


def test_down_without_terminal_requires_yes(run: Run, home: Path) -> None:
    (home / "local").mkdir(parents=True)
    answer = run("down")
    assert answer.code == 2 and "--yes" in answer.err
    assert list((home / "local").iterdir()) == []


def test_unlock_frees_lock_of_dead_run(run: Run, home: Path) -> None:
    assert run("unlock").out == "local: not locked\n"
    holder = {"host": os.uname().nodename, "user": "ann", "pid": 1, "start_ticks": 1}
    (home / "local").mkdir(parents=True)
    lock = home / "local/lock"
    lock.write_text(json.dumps({**holder, "command": "up", "since": "2026-01-01"}))
    answer = run("unlock")
    assert (answer.code, answer.out) == (0, "local: freed\n")
    assert "ann@" in answer.err and "gone" in answer.err
    assert lock.read_text() == ""


def test_unlock_keeps_live_lock_unless_forced(run: Run, home: Path) -> None:
    stat = Path("/proc/self/stat").read_text()
    ticks = int(stat[stat.rindex(")") + 2 :].split()[19])
    holder = {"host": os.uname().nodename, "user": "ann", "pid": os.getpid(), "start_ticks": ticks}
    (home / "local").mkdir(parents=True)
    lock = home / "local/lock"
    lock.write_text(json.dumps({**holder, "command": "up", "since": "2026-01-01"}))
    assert run("unlock").code == 8
    assert run("unlock", "--force").code == 0
    assert not lock.exists()


def test_kubeconfig_prints_only_the_path(run: Run, home: Path) -> None:
    (home / "local").mkdir(parents=True)
    (home / "local/kubeconfig").write_text("")
    assert run("kubeconfig").out == f"{home}/local/kubeconfig\n"


def test_cache_of_an_environment_that_was_never_up_is_not_exported(run: Run, tmp_path: Path) -> None:
    answer = run("cache", "export", "file.tar", "--env", "local-small")
    assert (answer.code, answer.out) == (5, "")
    assert "mlops-platform up --env local-small" in answer.err and not (tmp_path / "file.tar").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("cache", "export", "-", "--output", "json"), "both write to stdout"),
        (("cache", "import", "none.tar"), "none.tar cannot be read"),
        (("cache", "import", "none.tar", "--sha256", "123"), "not a SHA-256"),
    ],
)
def test_wrong_cache_file_exits_with_2(run: Run, args: tuple[str, ...], words: str) -> None:
    answer = run(*args)
    assert answer.code == 2 and words in answer.err


def test_cache_key_is_that_of_the_environment(run: Run) -> None:
    keys = {name: run("cache", "key", "--env", name).out for name in ("local", "local-small", "local")}
    assert len(set(keys.values())) == 2
    assert all(re.fullmatch(rf"linux-{ARCHITECTURE}-[0-9a-f]{{16}}\n", key) for key in keys.values())


def test_empty_cache_has_no_entries(run: Run, tmp_path: Path) -> None:
    answer = run("cache", "show", "-o", "json")
    assert (answer.code, answer.envelope["data"]["entries"]) == (0, [])
    assert run("cache", "prune").code == 0


@pytest.mark.parametrize("args", [("--help",), ("up", "--help"), ("kubeconfig",)])
def test_frequent_commands_import_no_heavy_package(home: Path, args: tuple[str, ...]) -> None:
    (home / "local").mkdir(parents=True)
    (home / "local/kubeconfig").write_text("")
    # Typer reads a command's options with pydantic; the main help needs no pydantic.
    heavy = (*HEAVY, "pydantic") if args == ("--help",) else HEAVY
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: sys.stderr.write(','.join(m for m in {heavy} if m in sys.modules)))\n"
        f"sys.argv = ['mlops-platform', *{list(args)}]\n"
        "from mlops_platform.cli import main\nmain()\n"
    )
    env = {**os.environ, "MLOPS_PLATFORM_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mlops-platform kube", "kubeconfig"),
        ("mlops-platform up --env lo", "local"),
        ("mlops-platform open mlf", "mlflow"),
    ],
)
def test_bash_completes_commands_environments_components(words: str, expected: str) -> None:
    """Uses the protocol of the script that `--install-completion` writes."""
    env = {
        **os.environ,
        "_MLOPS_PLATFORM_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    program = Path(sys.executable).with_name("mlops-platform")
    done = subprocess.run([str(program)], env=env, capture_output=True, text=True, check=False)
    assert expected in done.stdout.split(), done.stderr


def test_closed_output_pipe_is_not_a_bug() -> None:
    with subprocess.Popen([*CLI, "env", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout and started.stderr
        started.stdout.close()
        err = started.stderr.read()
        assert (started.wait(30), err) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("args", [(), *((group,) for group in ("env", "policies", "secrets", "component"))])
def test_program_or_group_alone_prints_help(run: Run, args: tuple[str, ...]) -> None:
    alone, asked = run(*args), run(*args, "--help")
    assert (alone.code, alone.err) == (0, "")
    assert alone.out.split() == asked.out.split() and "Commands:" in alone.out


def test_version_is_printed(run: Run) -> None:
    assert (run("--version").code, run("--version").out) == (0, f"mlops-platform {__version__}\n")


def test_usage_error_names_its_command_in_the_envelope(run: Run) -> None:
    found = run("env", "show", "--nope", "-o", "json").envelope
    assert (found["command"], found["error"]["command"]) == ("env show", "mlops-platform env show --help")


def test_schemas_and_policies_support_json(run: Run) -> None:
    assert run("env", "schema", "-o", "json").envelope["data"]["properties"]
    assert run("policies", "show", "--yaml", "-o", "json").envelope["data"]["policies"]


def test_env_show_with_verbose_names_the_state_folder(run: Run, home: Path) -> None:
    assert f"# state: {home}/local" in run("env", "show", "local", "-v").out
