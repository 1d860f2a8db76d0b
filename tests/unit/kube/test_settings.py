from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from hypernova_kube.process.settings import parse, settings_of


@dataclass(frozen=True, slots=True)
class Settings:
    """Runs the thing."""

    node: str = field(metadata={"doc": "Name of the node."})
    workers: int = field(default=4, metadata={"doc": "How many at once; 100% of them busy is fine."})
    ratio: float = field(default=1.5, metadata={"doc": "Overcommit."})
    dry_run: bool = field(default=False, metadata={"doc": "Change nothing."})
    verify: bool = field(default=True, metadata={"doc": "Check checksums."})
    cache: Path = field(default=Path("/var/cache/x"), metadata={"doc": "Folder."})
    kubeconfig: Path | None = field(default=None, metadata={"doc": "None: find one."})
    log_format: Literal["logfmt", "json"] = field(default="logfmt", metadata={"doc": "Of log lines."})
    zones: tuple[str, ...] = field(default=(), metadata={"doc": "Where."})
    limit: int | None = field(default=10, metadata={"doc": "None: no limit."})


def refusal(capsys, argv, environ):
    with pytest.raises(SystemExit) as ended:
        parse(Settings, argv, environ)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_defaults_hold_where_nothing_is_said():
    settings = parse(Settings, ["--node", "a"], {})
    assert settings == Settings(node="a")


def test_every_type_from_the_command_line():
    argv = (
        "--node a --workers 8 --ratio 2.5 --dry-run --no-verify --cache /tmp/c --kubeconfig /k "
        "--log-format json --zones az1,az2 --limit 5"
    )
    assert parse(Settings, argv.split(), {}) == Settings(
        "a", 8, 2.5, True, False, Path("/tmp/c"), Path("/k"), "json", ("az1", "az2"), 5
    )


def test_every_type_from_the_environment():
    environ = {
        "HYPERNOVA_NODE": "a",
        "HYPERNOVA_WORKERS": "8",
        "HYPERNOVA_RATIO": "2.5",
        "HYPERNOVA_DRY_RUN": "true",
        "HYPERNOVA_VERIFY": "No",
        "HYPERNOVA_CACHE": "/tmp/c",
        "HYPERNOVA_KUBECONFIG": "/k",
        "HYPERNOVA_LOG_FORMAT": "json",
        "HYPERNOVA_ZONES": " az1, az2 ,",
        "HYPERNOVA_LIMIT": "",
    }
    assert parse(Settings, [], environ) == Settings(
        "a", 8, 2.5, True, False, Path("/tmp/c"), Path("/k"), "json", ("az1", "az2"), None
    )


def test_the_command_line_wins_over_the_environment():
    assert parse(Settings, ["--node=b", "--no-dry-run"], {"HYPERNOVA_NODE": "a", "HYPERNOVA_DRY_RUN": "1"}).node == "b"
    assert not parse(Settings, ["--node=b", "--no-dry-run"], {"HYPERNOVA_DRY_RUN": "1"}).dry_run


def test_variables_of_others_are_let_be():
    parse(Settings, ["--node=a"], {"HYPERNOVA_OPERATOR_PORT": "tcp://10.96.0.7:80", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("argv", "environ", "says"),
    [
        (["--workers", "many"], {}, "--workers: 'many' is no whole number"),
        ([], {"HYPERNOVA_WORKERS": "1.5"}, "HYPERNOVA_WORKERS: '1.5' is no whole number"),
        ([], {"HYPERNOVA_RATIO": "half"}, "HYPERNOVA_RATIO: 'half' is no number"),
        ([], {"HYPERNOVA_DRY_RUN": "maybe"}, "HYPERNOVA_DRY_RUN: 'maybe' is neither true nor false"),
        ([], {"HYPERNOVA_LOG_FORMAT": "xml"}, "HYPERNOVA_LOG_FORMAT: 'xml' is none of logfmt, json"),
        ([], {"HYPERNOVA_CACHE": ""}, "HYPERNOVA_CACHE: '' is no path"),
        (["--workers"], {}, "expected one argument"),
        (["--nonsense", "1"], {}, "unrecognized arguments: --nonsense 1"),
        (["--work", "1"], {}, "unrecognized arguments: --work 1"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(capsys, argv, environ, says):
    assert says in refusal(capsys, ["--node=a", *argv], environ)


def test_a_missing_value_is_asked_for_by_both_its_names(capsys):
    assert "--node or HYPERNOVA_NODE must be given: Name of the node." in refusal(capsys, [], {})


def test_help_shows_flags_docs_variables_and_defaults(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(Settings, ["--help"], {})
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Runs the thing." in text
    assert "--node STR Name of the node. [HYPERNOVA_NODE, required]" in text
    assert "--workers INT How many at once; 100% of them busy is fine. [HYPERNOVA_WORKERS, default 4]" in text
    assert "--verify Check checksums. [HYPERNOVA_VERIFY, default true]" in text
    assert "--kubeconfig PATH None: find one. [HYPERNOVA_KUBECONFIG]" in text
    assert "--log-format logfmt|json" in text


def test_a_table_of_settings_can_be_made_from_the_class():
    by_name = {setting.name: setting for setting in settings_of(Settings)}
    assert list(by_name)[:2] == ["node", "workers"]
    assert by_name["node"].default is MISSING
    assert by_name["dry_run"].flag == "--dry-run"
    assert by_name["dry_run"].variable == "HYPERNOVA_DRY_RUN"
    assert (by_name["limit"].type, by_name["limit"].optional) == (int, True)
