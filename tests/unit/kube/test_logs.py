import io
import json
import logging
from contextlib import contextmanager

import pytest

from hypernova_kube.process.logs import configure, get_logger
from hypernova_kube.resources import Key

log = get_logger("hypernova.test")


@contextmanager
def output(style="logfmt", level="info"):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    root.handlers = []
    configure(level, style, stream)
    try:
        yield stream
    finally:
        root.handlers, root.level = before


def test_an_event_with_keys_is_one_line_to_read_and_to_grep():
    with output() as out:
        log.info("bound", instance=Key("shop", "web-1"), node="node-a", took_ms=0.41)
    line = out.getvalue()
    assert " level=info event=bound instance=shop/web-1 node=node-a took_ms=0.41 logger=hypernova.test\n" in line
    assert line.startswith("time=2")
    assert line.endswith("\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two words", '"two words"'),
        ("", '""'),
        ('say "hi"', r'"say \"hi\""'),
        ("a=b", '"a=b"'),
        ("line\nbreak", r'"line\nbreak"'),
        ("\x1b[31mred", r'"\u001b[31mred"'),
        ("naïve", "naïve"),
        (None, "None"),
        (1 / 3, "0.333333"),
        (12, "12"),
        (ValueError("no host fits"), '"no host fits"'),
    ],
)
def test_values_that_would_break_the_line_are_quoted(value, shown):
    with output() as out:
        log.info("failed", error=value)
    assert f" event=failed error={shown} logger=" in out.getvalue()
    assert out.getvalue().count("\n") == 1


def test_json_for_machines():
    with output("json") as out:
        log.warning("lease not renewed", lease=Key("hn", "a"), age_s=1.5, count=3)
    entry = json.loads(out.getvalue())
    assert entry["time"].endswith("Z")
    del entry["time"]
    assert entry == {
        "level": "warning",
        "event": "lease not renewed",
        "lease": "hn/a",
        "age_s": 1.5,
        "count": 3,
        "logger": "hypernova.test",
    }


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_an_exception_comes_with_its_traceback(style):
    with output(style) as out:
        try:
            raise ValueError("a bug")
        except ValueError:
            log.exception("reconcile failed", key="x")
    assert "Traceback" in out.getvalue()
    assert "ValueError: a bug" in out.getvalue()


def test_lines_of_libraries_look_the_same():
    with output() as out:
        logging.getLogger("aiohttp").warning("slow %s", "callback")
    assert 'level=warning event="slow callback" logger=aiohttp' in out.getvalue()


def test_the_level_is_the_least_that_is_shown():
    with output(level="warning") as out:
        log.debug("a")
        log.info("b")
        log.warning("c")
        log.error("d")
    assert [line.split("event=")[1][0] for line in out.getvalue().splitlines()] == ["c", "d"]


def test_records_point_at_the_line_that_logs(caplog):
    with caplog.at_level(logging.INFO):
        log.info("here")
    assert caplog.records[0].filename == "test_logs.py"
