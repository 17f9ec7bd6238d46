"""How each kind is started."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from claude_flow.agents import AgentSettings, droppings, make_agent
from claude_flow.errors import AgentUnavailableError, UsageError
from claude_flow.model.issue import IssueRef
from claude_flow.ports import Agent, AgentCommand, AgentTask

HOST = {
    "PATH": "/usr/bin:/bin",
    "ANTHROPIC_API_KEY": "sk-ant-made-up-0123456789",
    "GITHUB_TOKEN": "ghp_never",
    "LANG": "C.UTF-8",
}
ALLOWED = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "PATH", "LANG")
OWN = {"CLAUDE_FLOW_RUN_ID", "CLAUDE_FLOW_ISSUE", "CLAUDE_FLOW_WORKSPACE", "HOME", "TMPDIR"}


@pytest.fixture
def task(tmp_path: Path) -> AgentTask:
    return task_with("fix it\n", tmp_path)


def task_with(prompt: str, root: Path) -> AgentTask:
    issue = IssueRef.parse("octo/widgets#7")
    return AgentTask("widgets-7-0123456789", 2, issue, root / "w", root / "s", prompt)


def put_program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def put_claude_flow(prefix: Path, version: str, name: str = "claude-flow") -> None:
    package = prefix / "node_modules" / "claude-flow"
    program = put_program(package / "bin" / "cli.js")
    (package / "package.json").write_text(json.dumps({"name": name, "version": version}))
    (prefix / "bin").mkdir(exist_ok=True)
    (prefix / "bin" / "claude-flow").symlink_to(program)


def agent_in(
    prefix: Path, kind: str, around: Mapping[str, str] = HOST, **settings: object
) -> Agent:
    known = AgentSettings(kind=kind, install_prefix=prefix, environment_allowlist=ALLOWED)
    values = {name: getattr(known, name) for name in AgentSettings.__dataclass_fields__}
    return make_agent(AgentSettings(**(values | settings)), around, str)


def test_a_commands_environment_is_the_allow_list_and_its_own(
    tmp_path: Path, task: AgentTask
) -> None:
    command = agent_in(tmp_path, "command", command=("my-agent", "--fast")).command(task)
    assert command.argv == ("my-agent", "--fast")
    assert command.stdin == "fix it\n"
    assert command.environment == {
        "ANTHROPIC_API_KEY": HOST["ANTHROPIC_API_KEY"],
        "LANG": "C.UTF-8",
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
        "CLAUDE_FLOW_RUN_ID": "widgets-7-0123456789",
        "CLAUDE_FLOW_ISSUE": "octo/widgets#7",
        "CLAUDE_FLOW_WORKSPACE": str(tmp_path / "w"),
        "HOME": str(tmp_path / "s" / "home"),
        "TMPDIR": str(tmp_path / "s" / "tmp"),
    }
    for name in ("HOME", "TMPDIR"):
        assert Path(command.environment[name]) in command.directories


@pytest.mark.parametrize("kind", ["claude", "claude-flow"])
def test_the_clis_get_only_their_own_switches_beside(
    tmp_path: Path, task: AgentTask, kind: str
) -> None:
    put_claude_flow(tmp_path, "3.43.0")
    put_program(tmp_path / "bin" / "claude")
    names = set(agent_in(tmp_path, kind).command(task).environment)
    switches = names - OWN - set(ALLOWED)
    assert {"CLAUDE_CONFIG_DIR", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"} <= switches
    assert "GITHUB_TOKEN" not in names


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://gateway.test", "gateway.test:443"),
        ("https://gateway.test:8443/v1", "gateway.test:8443"),
        ("http://user:word@127.0.0.1:4000", "127.0.0.1:4000"),
        ("http://[::1]", "[::1]:80"),
        ("https://gateway.test:port", None),
        ("gateway.test", None),
    ],
)
def test_the_models_host_is_where_its_address_leads(
    tmp_path: Path, task: AgentTask, address: str, host: str | None
) -> None:
    around = {**HOST, "ANTHROPIC_BASE_URL": address}
    for kind in ("claude", "command"):
        command = agent_in(tmp_path, kind, around, command=("my-agent",)).command(task)
        assert command.hosts == (() if host is None else (host,))


def test_without_an_address_only_claude_knows_its_models_host(
    tmp_path: Path, task: AgentTask
) -> None:
    put_claude_flow(tmp_path, "3.43.0")
    put_program(tmp_path / "bin" / "claude")
    around = {name: value for name, value in HOST.items() if name != "ANTHROPIC_BASE_URL"}
    for kind in ("claude", "claude-flow"):
        hosts = agent_in(tmp_path, kind, around).command(task).hosts
        assert hosts == ("api.anthropic.com:443",)
    assert agent_in(tmp_path, "command", around, command=("mine",)).command(task).hosts == ()


def test_claude_is_called_bounded_with_the_prompt_on_standard_input(
    tmp_path: Path, task: AgentTask
) -> None:
    command = agent_in(tmp_path, "claude", max_turns=9, budget_usd=0.00001).command(task)
    argv = " ".join(command.argv)
    assert argv.startswith("claude -p --output-format stream-json --verbose")
    assert "--setting-sources user --strict-mcp-config" in argv
    assert "--max-turns 9" in argv
    assert "--max-budget-usd 0.00001" in argv
    assert command.stdin == "fix it\n"
    assert "fix it" not in argv
    assert permissions(command)["defaultMode"] == "acceptEdits"


def permissions(command: AgentCommand) -> dict[str, object]:
    path = Path(command.environment["CLAUDE_CONFIG_DIR"]) / "settings.json"
    found = json.loads(command.files[path])["permissions"]
    assert isinstance(found, dict)
    return found


def test_without_bounds_none_are_given(tmp_path: Path, task: AgentTask) -> None:
    argv = agent_in(tmp_path, "claude").command(task).argv
    assert "--max-turns" not in argv
    assert "--max-budget-usd" not in argv


# Tells how it was called, as a claude-flow would be.
UNATTENDED = "[--non-interactive][--no-auto-permissions]"
ODD = '--it\'s "odd" $HOME `id`'
RECORDER = '#!/bin/sh\nfor argument; do printf "[%s]" "$argument"; done\necho\n'


def called(command: AgentCommand) -> list[str]:
    """Do what the execution does with the command, briefly."""
    for path, text in command.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if path in command.executable else 0o644)
    done = subprocess.run(
        command.argv, env=dict(command.environment), capture_output=True, check=True, text=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("version", "calls"),
    [
        (
            "2.7.47",
            [f"[swarm][Task: {ODD}]{UNATTENDED}"],
        ),
        (
            "3.43.0",
            [
                "[hive-mind][init]",
                f"[hive-mind][spawn][--claude][-o][Task: {ODD}]{UNATTENDED}",
            ],
        ),
    ],
)
def test_claude_flow_is_called_as_its_line_wants(
    tmp_path: Path, version: str, calls: list[str]
) -> None:
    put_claude_flow(tmp_path, version)
    put_program(tmp_path / "bin" / "claude")
    put_program(tmp_path / "node_modules" / "claude-flow" / "bin" / "cli.js", RECORDER)
    task = task_with(ODD, tmp_path)
    assert called(agent_in(tmp_path, "claude-flow").command(task)) == calls


def test_claude_under_claude_flow_is_bounded_and_keeps_its_arguments(
    tmp_path: Path, task: AgentTask
) -> None:
    put_claude_flow(tmp_path, "3.43.0", name="ruflo")
    put_program(tmp_path / "bin" / "claude", RECORDER)
    command = agent_in(tmp_path, "claude-flow", max_turns=7).command(task)
    called(command)
    done = subprocess.run(
        ["claude", "-p", "--mcp-config=.mcp.json", "two\nlines", ""],
        executable=str(task.scratch / "bin" / "claude"),
        capture_output=True,
        check=True,
        text=True,
    )
    assert "[--setting-sources][user][--strict-mcp-config][--max-turns][7]" in done.stdout
    assert done.stdout.endswith("[-p][two\nlines][]\n")
    first = command.environment["PATH"].partition(":")[0]
    assert first == str(task.scratch / "bin")


def test_a_long_prompt_goes_into_a_file(tmp_path: Path) -> None:
    put_claude_flow(tmp_path, "3.43.0")
    put_program(tmp_path / "bin" / "claude")
    task = task_with("ü" * 60_000, tmp_path)
    command = agent_in(tmp_path, "claude-flow").command(task)
    objective = command.files[task.scratch / "objective"]
    assert len(objective.encode()) < 1000
    (path,) = [path for path in command.files if str(path) in objective]
    assert command.files[path] == task.prompt


def test_an_own_command_replaces_the_call_and_keeps_the_rest(
    tmp_path: Path, task: AgentTask
) -> None:
    put_program(tmp_path / "bin" / "claude")
    agent = agent_in(tmp_path, "claude-flow", command=("my-swarm", "--go"))
    command = agent.command(task)
    assert command.argv == ("my-swarm", "--go")
    assert command.stdin == task.prompt
    assert task.scratch / "bin" / "claude" in command.executable
    assert command.ignored == droppings("claude-flow") != ()
    with pytest.raises(AgentUnavailableError, match="my-swarm"):
        agent.check()


@pytest.mark.parametrize(
    ("kind", "settings", "present", "missing"),
    [
        ("command", {"command": ("my-agent",)}, [], "my-agent"),
        ("command", {"command": ("/no/such/agent",)}, [], "/no/such/agent"),
        ("claude", {}, [], "claude in "),
        ("claude-flow", {}, ["claude"], "claude-flow in "),
        ("claude-flow", {}, ["claude-flow", "node"], "claude in "),
        ("claude-flow", {}, ["claude-flow", "claude"], "node in "),
    ],
)
def test_check_says_what_is_missing_and_where_it_looked(
    tmp_path: Path, kind: str, settings: dict[str, object], present: list[str], missing: str
) -> None:
    empty = {"PATH": str(tmp_path / "empty")}
    for name in present:
        if name == "claude-flow":
            put_claude_flow(tmp_path, "3.43.0")
        else:
            put_program(tmp_path / "bin" / name)
    known = {"kind": kind, "install_prefix": tmp_path, "environment_allowlist": ALLOWED}
    agent = make_agent(AgentSettings(**(known | settings)), empty, str)  # type: ignore[arg-type] # cases are data
    with pytest.raises(AgentUnavailableError, match=missing) as caught:
        agent.check()
    assert caught.value.hint


def test_a_program_that_is_not_executable_is_none(tmp_path: Path) -> None:
    put_program(tmp_path / "bin" / "claude").chmod(0o644)
    with pytest.raises(AgentUnavailableError, match="not there or not executable"):
        make_agent(AgentSettings(kind="claude", install_prefix=tmp_path), {}, str).check()


@pytest.mark.parametrize("version", ["1.0.72", "4.0.0"])
def test_an_unknown_line_of_claude_flow_is_refused(tmp_path: Path, version: str) -> None:
    put_claude_flow(tmp_path, version)
    with pytest.raises(AgentUnavailableError, match=f"claude-flow {version}"):
        agent_in(tmp_path, "claude-flow").check()


def test_the_setting_tells_the_line_where_no_package_does(tmp_path: Path, task: AgentTask) -> None:
    put_program(tmp_path / "bin" / "claude-flow")
    put_program(tmp_path / "bin" / "claude")
    command = agent_in(tmp_path, "claude-flow", version="2.7.47").command(task)
    assert any(" swarm " in text for text in command.files.values())
    with pytest.raises(AgentUnavailableError, match="of an unknown version"):
        agent_in(tmp_path, "claude-flow").check()


@pytest.mark.parametrize(("kind", "words"), [("command", "names none"), ("codex", "no kind")])
def test_wrong_settings_are_refused(tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        agent_in(tmp_path, kind)
