import pytest

from hypernova_console.settings import Settings
from hypernova_kube.process.settings import parse

GIVEN = ["--public-url", "https://console.example.com", "--assets", "/assets"]


def test_what_must_be_given_is_where_browsers_come_and_what_they_get():
    settings = parse(Settings, GIVEN, {})
    assert (settings.ticket_seconds, settings.session_seconds, settings.review_seconds) == (60, 28800, 60.0)
    assert (settings.api_port, settings.web_port, settings.vnc_sharing) == (8443, 8080, "Shared")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--public-url", "console.example.com"], "--public-url"),
        (["--public-url", "https://example.com/console"], "--public-url"),
        (["--public-url", "https://example.com/?x"], "--public-url"),
        (["--public-url", "ftp://example.com"], "--public-url"),
        (["--web-tls-cert", "/tls.crt"], "must be given together"),
        (["--ticket-seconds", "0"], "--ticket-seconds: 0 is not between 1 and 3600"),
        (["--session-seconds", "700000"], "--session-seconds"),
        (["--review-seconds", "0.5"], "--review-seconds"),
        (["--vnc-sharing", "Never"], "--vnc-sharing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_flag_at_fault(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        parse(Settings, [*GIVEN, *flags], {})
    assert said in capsys.readouterr().err
