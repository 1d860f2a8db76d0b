"""A component's settings: one frozen dataclass, from which its flags and environment variables are made.

    @dataclass(frozen=True, slots=True)
    class Settings:
        probes_port: int = field(default=8080, metadata={"doc": "Port of /healthz, /readyz and /metrics."})

is set by `--probes-port 9000` or `HYPERNOVA_PROBES_PORT=9000`; the flag wins. A field without a default must be given.
Types: str, int, float, bool (`--x` and `--no-x`), Path, Literal of strings, tuple[str, ...] (`a,b`), and each of these
`| None`. A value may stand in the environment as the empty string, which means None or (), where the type has them.
What a type can't say, the class checks in `__post_init__`, by a ValueError that names the flag.
"""

import argparse
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

S = TypeVar("S")

_TRUE, _FALSE = {"true", "yes", "1", "on"}, {"false", "no", "0", "off"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a settings class, as users meet it."""

    name: str
    type: Any
    """Without its `| None`."""

    optional: bool
    """Whether None is allowed."""

    default: Any
    """`dataclasses.MISSING` if it must be given."""

    doc: str

    @property
    def flag(self) -> str:
        """As on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """As in the environment."""
        return "HYPERNOVA_" + self.name.upper()

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING

    def read(self, text: str) -> Any:
        """The value that a text means.

        Raises:
            ValueError: none; the message says what is wanted.
        """
        if text == "" and self.optional:
            return None
        if get_origin(self.type) is tuple:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if get_origin(self.type) is Literal:
            return _one_of(get_args(self.type), text)
        return _READERS[self.type](text)


def settings_of(cls: type) -> list[Setting]:
    """The settings of a settings class, in its order: for parsing, and for tables in the documentation."""
    hints = get_type_hints(cls)
    settings = []
    for field in fields(cls):
        arguments = get_args(hints[field.name]) if get_origin(hints[field.name]) in (Union, types.UnionType) else ()
        kind = next((each for each in arguments if each is not types.NoneType), hints[field.name])
        default = field.default if field.default_factory is MISSING else field.default_factory()
        settings.append(Setting(field.name, kind, types.NoneType in arguments, default, field.metadata.get("doc", "")))
    return settings


def parse(cls: type[S], argv: Sequence[str], environ: Mapping[str, str]) -> S:
    """The settings that flags (first) and environment give, defaults for the rest.

    Ends the process with status 2, and one line on standard error, for a value that is wrong or missing; with status 0
    after `--help`.

    Args:
        cls: the settings class.
        argv: the command line without the program's name.
        environ: the environment. Variables of other names are not looked at: Kubernetes adds its own for Services.
    """
    settings = settings_of(cls)
    parser = _parser(cls, settings)
    given = vars(parser.parse_args(argv))
    values = {}
    for setting in settings:
        if setting.name in given:
            text, source = given[setting.name], setting.flag
        elif setting.variable in environ:
            text, source = environ[setting.variable], setting.variable
        elif setting.required:
            parser.error(f"{setting.flag} or {setting.variable} must be given: {setting.doc}")
        else:
            values[setting.name] = setting.default
            continue
        try:
            values[setting.name] = setting.read(text)
        except ValueError as error:
            parser.error(f"{source}: {text!r} is {error}")
    try:
        return cls(**values)
    except ValueError as error:
        parser.error(str(error))


def _parser(cls: type, settings: list[Setting]) -> argparse.ArgumentParser:
    # allow_abbrev: a flag of tomorrow must not change what an abbreviation of today means.
    parser = argparse.ArgumentParser(description=cls.__doc__, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for setting in settings:
        text = f"{setting.doc} [{setting.variable}{_default(setting)}]".replace("%", "%%")
        if setting.type is bool:
            parser.add_argument(setting.flag, dest=setting.name, action="store_const", const="true", help=text)
            negative = "--no-" + setting.flag.removeprefix("--")
            parser.add_argument(
                negative, dest=setting.name, action="store_const", const="false", help=argparse.SUPPRESS
            )
        else:
            parser.add_argument(setting.flag, dest=setting.name, metavar=_metavar(setting), help=text)
    return parser


def _metavar(setting: Setting) -> str:
    if get_origin(setting.type) is Literal:
        return "|".join(get_args(setting.type))
    return "A,B" if get_origin(setting.type) is tuple else setting.type.__name__.upper()


def _default(setting: Setting) -> str:
    if setting.required:
        return ", required"
    if setting.default in (None, "", ()):
        return ""
    default = ",".join(setting.default) if isinstance(setting.default, tuple) else setting.default
    return f", default {str(default).lower() if isinstance(default, bool) else default}"


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError("neither true nor false")


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("no whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("no number") from None


def _path(text: str) -> Path:
    return Path(text) if text else _refuse("no path")


def _one_of(choices: tuple[str, ...], text: str) -> str:
    return text if text in choices else _refuse(f"none of {', '.join(choices)}")


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


_READERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: _integer,
    float: _number,
    bool: _boolean,
    Path: _path,
}
