"""The workflows: linted, thin, and replayed step by step against a repository on this disk."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github/workflows"
GUIDE = (ROOT / "docs/scheduling.md").read_text(encoding="utf-8")
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
COMMANDS = {"make", "git", "gh", "cat", "echo"}  # a step's whole vocabulary; anything longer belongs into a make target


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yaml").read_text(encoding="utf-8"))
    content["on"] = content.pop(True)  # YAML 1.1 reads `on` as a truth value
    return content


def steps(name: str) -> list[tuple[str, dict[str, Any]]]:
    return [(job, step) for job, body in workflow(name)["jobs"].items() for step in body["steps"]]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def make_calls(text: str) -> list[str]:
    """The targets of every `make …` in a shell text."""
    return re.findall(r"\bmake (?:--silent )?([a-z][a-z-]*)", text)


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def lint(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / tool), *arguments]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)


FILES = [f".github/workflows/{name}.yaml" for name in ("ci", "retrain")]


def test_the_linters_find_nothing() -> None:
    assert sorted(FILES) == sorted(str(file.relative_to(ROOT)) for file in WORKFLOWS.iterdir())
    schema = lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FILES)
    assert schema.returncode == 0, schema.stdout + schema.stderr
    security = lint("zizmor", "--offline", "--no-progress", "--persona", "auditor", *FILES)
    assert security.returncode == 0, security.stdout + security.stderr


def test_the_linter_would_find_an_injected_input(tmp_path: Path) -> None:
    text = (WORKFLOWS / "retrain.yaml").read_text(encoding="utf-8")
    injected = tmp_path / "retrain.yaml"
    injected.write_text(text.replace("run: make retrain", "run: make retrain ARGS=${{ inputs.force }}"))
    assert "template-injection" in lint("zizmor", "--offline", "--no-progress", "--pedantic", str(injected)).stdout


@pytest.mark.parametrize("name", ["ci", "retrain"])
def test_every_step_is_thin(name: str) -> None:
    for _job, step in steps(name):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
            continue
        script = step["run"]
        assert "${{" not in script
        assert set(make_calls(script)) <= targets()
        for line in script.strip().splitlines():
            command = re.sub(r"^\w+=\$\(", "", line).split()[0]
            assert command in COMMANDS | {"head", "cp", "rm"}, line


def test_ci_does_what_the_repository_s_own_check_does() -> None:
    own = make_calls((ROOT / ".ci/run").read_text(encoding="utf-8"))
    assert [step["run"] for _, step in steps("ci") if "run" in step] == [f"make {target}" for target in own]
    supported = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert supported
    versions = [f"3.{minor}" for minor in range(int(supported[1]), int(supported[2]))]
    assert workflow("ci")["jobs"]["test"]["strategy"]["matrix"]["python"] == versions


def test_nothing_starts_itself() -> None:
    assert set(workflow("retrain")["on"]) == {"schedule", "workflow_dispatch"}
    assert workflow("ci")["on"] == {"pull_request": None, "push": {"branches": ["main"]}}
    assert workflow("retrain")["concurrency"] == {"group": "retrain", "cancel-in-progress": False}


def test_only_the_job_that_runs_no_project_code_may_write() -> None:
    assert workflow("ci")["permissions"] == workflow("retrain")["permissions"] == {}
    for name in ("ci", "retrain"):
        for job, body in workflow(name)["jobs"].items():
            writes = "write" in body["permissions"].values()
            runs_code = any("make" in step.get("run", "") for step in body["steps"])
            assert not (writes and runs_code), job
            for step in body["steps"]:
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False


def test_secrets_reach_only_the_steps_that_need_them_and_are_documented() -> None:
    text = (WORKFLOWS / "retrain.yaml").read_text(encoding="utf-8")
    assert "secrets." not in (WORKFLOWS / "ci.yaml").read_text(encoding="utf-8")
    for name in re.findall(r"(?:secrets|vars)\.(\w+)", text):
        assert f"`{name}`" in GUIDE, name
    holders = {step["run"].split()[1]: set(step["env"]) for _, step in steps("retrain") if "secrets." in str(step)}
    storage = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    production = {"CLOSEDLOOP_LOG_URI", "CLOSEDLOOP_WEBHOOK", "MLFLOW_TRACKING_URI"}
    assert holders == {
        "restore": storage,
        "monitor": storage | production,
        "prune": {"CLOSEDLOOP_LOG_URI"},
        "retrain": storage | production | {"ARGS"},
        "--silent": {"CLOSEDLOOP_LOG_URI"},
        "publish": storage,
    }
    for job in workflow("retrain")["jobs"].values():
        assert "secrets." not in str(job.get("env", ""))


def test_the_guide_s_examples_hold() -> None:
    assert set(make_calls("\n".join(blocks("bash") + blocks("yaml") + blocks("")))) <= targets()
    ours = {target for _, step in steps("retrain") for target in make_calls(step.get("run", ""))}
    assert ours == {"setup", "restore", "monitor", "retrain", "prune", "report", "publish"}
    assert set(make_calls(blocks("yaml")[0])) == ours


def test_gitlab_would_take_its_job(tmp_path: Path) -> None:
    file = tmp_path / ".gitlab-ci.yml"
    file.write_text(blocks("yaml")[0])
    checked = lint("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


# --- replay: the shell of retrain.yaml with the real git and make, a bare repository as origin, and stand-ins for the
# --- command `closedloop` and for gh

CLOSEDLOOP = """#!/usr/bin/env bash
echo "closedloop $* | log=${CLOSEDLOOP_LOG_URI:-} token=${GH_TOKEN:-}" >> "$CALLS"
case "$*" in
  "monitor traffic=log") echo "traffic: {start: 1}" >> params.yaml; exit 3 ;;
  retrain*) echo '[{"sha256": "1f"}]' > partitions/digits.json && echo "stages: {train: 2}" > dvc.lock
            printf '\\x00\\x01' > reports/digits/small.bin ;;
  report) printf '# Retraining of digits: promoted\\n\\n| a "b" `c` $(d) |\\n' ;;
esac
"""
MAKE = ("Makefile", "pyproject.toml", "constraints.txt")
GH = """#!/usr/bin/env bash
printf '%s\\n' "gh" "$@" "--" >> "$CALLS"
case "$1 $2" in "pr list") echo "${OPEN_BRANCH:-}" ;; esac
"""


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def install(project: Path, closedloop: str) -> None:
    """What `make setup` leaves behind, with a stand-in for the command."""
    program(project / ".venv/bin/closedloop", closedloop)
    (project / ".venv/.installed").touch()
    (project / "work").mkdir()


class Runner:
    """Runs a job's `run` steps with the expressions in its `if` and `env` put in, as GitHub would."""

    def __init__(self, folder: Path, *, open_branch: str = "", force: bool = False) -> None:
        self.folder, self.calls = folder, folder / "calls"
        self.origin, self.temporary = folder / "origin.git", folder / "temporary"
        self.artifact = folder / "artifact"
        self.open_branch = open_branch
        programs = folder / "bin"
        for path in (programs, self.temporary, self.artifact):
            path.mkdir()
        self.closedloop = CLOSEDLOOP
        program(programs / "gh", GH)
        self.environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "CALLS": str(self.calls),
            "OPEN_BRANCH": open_branch,
        }
        self.values = {
            "github.token": "token",
            "github.repository": "us/closedloop",
            "github.ref_name": "main",
            "github.run_id": "42",
            "github.run_attempt": "1",
            "inputs.force && '--force' || ''": "--force" if force else "",
        }
        source = folder / "source"
        for name, text in {
            "dvc.lock": "stages: {train: 1}\n",
            "params.yaml": "task: {name: digits}\n",
            "partitions/README.md": "partitions\n",
            "reports/digits/evaluation.json": "{}\n",
            ".gitignore": "/work/\n/.venv/\n",
            **{
                name: (ROOT / name).read_text(encoding="utf-8")
                for name in ("Makefile", "pyproject.toml", "constraints.txt")
            },
        }.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        self.git(source, "init", "--quiet", "--initial-branch=main")
        self.git(source, "add", "--all")
        self.git(source, "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "--quiet", "--message=first")
        if open_branch:  # which nobody has reviewed
            self.git(source, "switch", "--quiet", "--create", open_branch)
            (source / "Makefile").write_text("%:\n\ttouch stolen\n")
            (source / "partitions/digits.json").write_text("[]\n")
            self.git(source, "add", "--all")
            identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
            self.git(source, *identity, "commit", "--quiet", "--message=proposal")
            self.git(source, "switch", "--quiet", "main")
        self.git(source, "clone", "--quiet", "--bare", ".", str(self.origin))

    def git(self, folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=self.environment, text=True, capture_output=True, check=True
        )
        return done.stdout.strip()

    def expand(self, text: str) -> str:
        return EXPRESSION.sub(lambda found: self.values.get(found[1], f"<{found[1]}>"), text)

    def wanted(self, condition: str | None) -> bool:
        if condition is None:
            return True
        name, _, other = condition.partition(" == ")
        value = self.values.get(name, "")
        return value == other.strip("'") if other else bool(value)

    def job(self, name: str) -> None:
        body = workflow("retrain")["jobs"][name]
        if name == "propose" and not self.wanted(body["if"]):
            return
        work = self.folder / name
        for step in body["steps"]:
            if not self.wanted(step.get("if")):
                continue
            action = step.get("uses", "").partition("@")[0]
            if action == "actions/checkout":
                ref = self.expand(str(step["with"].get("ref", "main")))
                place = work / step["with"].get("path", "")
                self.git(self.folder, "clone", "--quiet", "--branch", ref, str(self.origin), str(place))
                if name == "retrain" and place == work:
                    install(work, self.closedloop)
            elif action == "actions/upload-artifact":
                for file in step["with"]["path"].split():
                    (self.artifact / Path(file).name).write_bytes((work / file).read_bytes())
            elif action == "actions/download-artifact":
                (work / step["with"]["path"]).mkdir()
                for file in self.artifact.iterdir():
                    (work / step["with"]["path"] / file.name).write_bytes(file.read_bytes())
            elif "run" in step:
                self.step(name, step, work)

    def step(self, job: str, step: dict[str, Any], work: Path) -> None:
        work.mkdir(exist_ok=True)
        files = {name: self.temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        files["GITHUB_OUTPUT"].write_text("")
        environment = {
            **self.environment,
            **{name: str(file) for name, file in files.items()},
            **{
                key: self.expand(str(value))
                for key, value in {**workflow("retrain")["jobs"][job].get("env", {}), **step.get("env", {})}.items()
            },
        }
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(shell, cwd=work, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{step['run']}\n{done.stdout}{done.stderr}"
        for line in files["GITHUB_OUTPUT"].read_text().splitlines():
            key, _, value = line.partition("=")
            self.values[f"steps.{step['id']}.outputs.{key}"] = value
            self.values[f"needs.{job}.outputs.{key}"] = value  # every job hands its one output on

    def all(self) -> "Runner":
        for name in workflow("retrain")["jobs"]:
            self.job(name)
        return self

    def log(self) -> str:
        return self.calls.read_text()

    def branches(self) -> set[str]:
        return set(self.git(self.origin, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines())


def test_a_retraining_becomes_a_pull_request_on_a_branch_of_its_own(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    main = runner.git(runner.origin, "rev-parse", "main")
    runner.all()
    assert runner.branches() == {"main", "retraining/42-1"}
    assert runner.git(runner.origin, "rev-parse", "main") == main
    changed = runner.git(runner.origin, "diff", "--name-only", "main", "retraining/42-1").splitlines()
    assert changed == ["dvc.lock", "params.yaml", "partitions/digits.json", "reports/digits/small.bin"]
    assert runner.git(runner.origin, "log", "-1", "--format=%B", "retraining/42-1") == "Retraining of digits: promoted"
    created = runner.log().split("gh\npr\ncreate\n")[1]
    assert "--base\nmain\n--head\nretraining/42-1\n--title\nRetraining of digits: promoted\n" in created
    report = (runner.artifact / "report.md").read_text()
    assert '| a "b" `c` $(d) |' in report
    assert (runner.temporary / "GITHUB_STEP_SUMMARY").read_text() == report


def test_data_are_published_before_anything_refers_to_them(tmp_path: Path) -> None:
    calls = re.findall(r"^closedloop (.*?) \|", Runner(tmp_path).all().log(), re.MULTILINE)
    assert calls == ["restore", "monitor traffic=log", "retrain", "prune", "report", "publish"]


def test_no_step_that_runs_code_sees_the_token_and_force_is_passed_on(tmp_path: Path) -> None:
    log = Runner(tmp_path, force=True).all().log()
    calls = [line for line in log.splitlines() if line.startswith("closedloop ")]
    assert all(line.endswith("token=") for line in calls)
    assert any(line.startswith("closedloop retrain --force |") for line in calls)
    assert {line.split()[1] for line in calls if "log=<secrets.CLOSEDLOOP_LOG_URI>" in line} == {
        "monitor", "retrain", "prune", "report",
    }  # fmt: skip


def test_a_check_without_a_retraining_proposes_nothing(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    runner.closedloop = CLOSEDLOOP.replace("  retrain*)", "  no-reason-to-retrain)")
    runner.all()
    assert runner.branches() == {"main"}
    assert "closedloop retrain" in runner.log()
    assert "closedloop publish" not in runner.log()
    assert "create" not in runner.log()


def test_while_a_proposal_is_open_its_data_are_checked_none_of_its_code_runs_and_nothing_is_retrained(
    tmp_path: Path,
) -> None:
    runner = Runner(tmp_path, open_branch="retraining/41-1").all()
    work = tmp_path / "retrain"
    assert (work / "partitions/digits.json").read_text() == "[]\n"
    assert (work / "Makefile").read_text() == (ROOT / "Makefile").read_text()
    assert not (work / "stolen").exists() and not (work / "pending").exists()
    assert "closedloop monitor" in runner.log()
    assert "closedloop retrain" not in runner.log()
    assert runner.branches() == {"main", "retraining/41-1"}


def test_a_proposal_is_one_of_this_repository_s_own() -> None:
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("jq is not installed: it stands in for the filter that gh applies")
    ours = next(step["env"]["OURS"] for job, step in steps("retrain") if job == "pending")
    listed = [
        {"headRefName": "retraining/9-1", "isCrossRepository": True},
        {"headRefName": "feature", "isCrossRepository": False},
        {"headRefName": "retraining/7-1", "isCrossRepository": False},
    ]
    for count, found in ((3, "retraining/7-1"), (2, "")):
        command = [jq, "--raw-output", ours]
        done = subprocess.run(command, input=json.dumps(listed[:count]), text=True, capture_output=True, check=True)
        assert done.stdout.strip() == found


@pytest.mark.parametrize("target", ["monitor", "retrain"])
@pytest.mark.parametrize(
    ("scheduled", "code", "passes"), [("", 3, False), ("1", 3, True), ("1", 1, False), ("1", 0, True), ("", 0, True)]
)
def test_under_a_scheduler_drift_alone_is_no_failure(
    tmp_path: Path, target: str, scheduled: str, code: int, *, passes: bool
) -> None:
    for name in MAKE:
        shutil.copy(ROOT / name, tmp_path)
    install(tmp_path, f"#!/bin/sh\nexit {code}\n")
    command = ["make", target, f"SCHEDULED={scheduled}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode == 0) is passes
