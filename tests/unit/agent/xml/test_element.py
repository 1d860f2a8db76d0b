"""Building XML."""

from hypernova_agent.xml.element import E, element, serialize


def test_elements_nest_as_their_calls_do() -> None:
    built = E.disk(E.source(pool="p"), E.serial("17"), type="volume")
    assert serialize(built) == '<disk type="volume">\n  <source pool="p" />\n  <serial>17</serial>\n</disk>\n'


def test_what_is_none_is_left_out() -> None:
    assert serialize(E.host(None, mac="m", name=None)) == '<host mac="m" />\n'


def test_whatever_text_holds_it_stays_text() -> None:
    assert serialize(element("tb-cache", "<&>", unit='"')) == '<tb-cache unit="&quot;">&lt;&amp;&gt;</tb-cache>\n'
