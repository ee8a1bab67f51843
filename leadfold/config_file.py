"""Reads ``leadfold.toml`` and the environment; whatever is wrong is told with file, line and reason, all at once."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError
from tomlkit.exceptions import ParseError, TOMLKitError

from leadfold.config_checks import contradictions, doubts
from leadfold.field_types import NAME_PATTERN
from leadfold.settings import Settings
from leadfold.toml_lines import Lines

FILE_NAME = "leadfold.toml"

#: Short names beside ``LEADFOLD_<SECTION>__<KEY>``, for the settings that differ between machines.
SHORT_NAMES = {"LEADFOLD_DATABASE_URL": "LEADFOLD_DATABASE__URL"}

#: Their values never appear in a message.
_SECRET_KEYS = frozenset({"secret", "key_secret", "password", "url", "signing_secret"})


#: What a pattern asks for, in words.
_PATTERNS = {
    NAME_PATTERN: "small letters, digits, . - and _, at most 64, a letter or digit at both ends",
    r"^(https?://[^\s]+)?$": "an address that begins with http:// or https://",
    r"^[A-Za-z0-9._-]{1,249}$": "letters, digits, . - and _ only",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``place`` is ``file:line`` or the environment variable."""

    place: str
    reason: str
    path: tuple[str | int, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class WrongConfig(Exception):
    """The configuration cannot be used; ``problems`` in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Config:
    """The settings and the file they came from. ``settings.data_dir`` is absolute. ``doubts``: most likely slips."""

    file: Path
    settings: Settings
    doubts: tuple[Problem, ...] = ()


def find_file(given: str | Path | None) -> Path:
    """The file to read: as given, else ``LEADFOLD_CONFIG``, else ``leadfold.toml`` here. A folder means the file in it.

    Raises:
        WrongConfig: there is none.
    """
    name = given or os.environ.get("LEADFOLD_CONFIG") or FILE_NAME
    path = Path(name).expanduser()
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        hint = "`leadfold init DIR` writes one" if not given else "give the right path to --config"
        raise WrongConfig([Problem(str(path), f"there is no such file: {hint}")])
    return path.absolute()


def load(given: str | Path | None = None) -> Config:
    """Read and check everything.

    Raises:
        WrongConfig: with every problem that was found.
    """
    path = find_file(given)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WrongConfig([Problem(str(path), f"is not UTF-8 text (byte {error.start})")]) from error
    except OSError as error:
        raise WrongConfig([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    settings = parse(text, path)
    lines = Lines(text)
    doubtful = (Problem(_place(where, path, lines), reason, where) for where, reason in doubts(settings))
    return Config(path, settings, tuple(_in_order(doubtful)))


def parse(text: str, path: Path) -> Settings:
    """Settings from the text of the file at ``path``, and from the environment. Raises WrongConfig."""
    try:
        values: dict[str, Any] = tomlkit.parse(text).unwrap()
    except ParseError as error:
        reason = str(error).partition(" at line ")[0]
        raise WrongConfig([Problem(f"{path}:{error.line}", f"is not TOML here: {reason}")]) from error
    except TOMLKitError as error:
        line = _wrong_line(text)
        where, here = (str(path), "") if line is None else (f"{path}:{line}", " here")
        raise WrongConfig([Problem(where, f"is not TOML{here}: {error}")]) from error
    lines = Lines(text)
    with _short_names():
        try:
            settings = Settings(**values)
        except ValidationError as error:
            raise WrongConfig(_in_order(_problem(e, path, lines, values) for e in error.errors())) from error
        except SettingsError as error:
            raise WrongConfig([Problem("environment", str(error))]) from error
    problems = [
        Problem(_place(where, path, lines), reason, where) for where, reason in contradictions(settings)
    ]
    if problems:
        raise WrongConfig(_in_order(problems))
    return settings.model_copy(update={"data_dir": (path.parent / settings.data_dir).resolve()})


class _short_names:  # noqa: N801 - a context manager used like a function
    """While inside, short environment names stand under their long ones as well."""

    def __enter__(self) -> None:
        self._added = [
            (long, os.environ[short])
            for short, long in SHORT_NAMES.items()
            if os.environ.get(short) and not os.environ.get(long)
        ]
        for long, value in self._added:
            os.environ[long] = value

    def __exit__(self, *_: object) -> None:
        for long, _value in self._added:
            del os.environ[long]


def _in_order(problems: typing.Iterable[Problem]) -> list[Problem]:
    def key(problem: Problem) -> tuple[str, int]:
        head, _, line = problem.place.rpartition(":")
        return (head, int(line)) if line.isdigit() else (problem.place, 0)

    return sorted(dict.fromkeys(problems), key=key)


def _place(where: tuple[str | int, ...], path: Path, lines: Lines) -> str:
    variable = _variable(where)
    if variable:
        return f"environment {variable}"
    line = lines.find(where)
    return f"{path}:{line}" if line else str(path)


def _variable(where: Sequence[str | int]) -> str | None:
    """The environment variable that gave a value, if one did."""
    names = [f"LEADFOLD_{'__'.join(str(p) for p in where[:n])}".upper() for n in range(len(where), 0, -1)]
    short = {long: name for name, long in SHORT_NAMES.items()}
    for name in names:
        if name in short and short[name] in os.environ:
            return short[name]
        if name in os.environ:
            return name
    return None


def _problem(error: ErrorDetails, path: Path, lines: Lines, values: Mapping[str, Any]) -> Problem:
    where = tuple(error["loc"])
    name = ".".join(str(p) for p in where if isinstance(p, str))
    match error["type"]:
        case "extra_forbidden":
            reason = f"unknown setting {name!r}{_suggestion(where)}"
        case "missing":
            reason = f"{where[-1]!r} is missing{_missing_hint(where)}"
        case "value_error":
            message = error["msg"].removeprefix("Value error, ")
            reason = f"{name}: {message}" if name else message
        case "string_pattern_mismatch" if (words := _PATTERNS.get(error["ctx"]["pattern"])) is not None:
            reason = f"{name}: {words}{_shown(error['input'])}"
        case "literal_error":
            reason = f"{name}: {error['input']!r} is not one of {error['ctx']['expected']}" + _near(
                str(error["input"]),
                str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", "),
            )
        case "tuple_type" | "list_type":
            reason = f'{name}: must be a list, such as ["a", "b"]{_shown(error["input"])}'
        case "too_short" if where[-1] in _SECRET_KEYS:
            reason = f"{name}: a secret must have at least {error['ctx']['min_length']} characters"
        case _:
            shown = "" if where and where[-1] in _SECRET_KEYS else _shown(error["input"])
            reason = f"{name}: {_lower(error['msg'])}{shown}"
    del values
    return Problem(_place(where, path, lines), reason, where)


def _shown(value: Any) -> str:
    return f" (it is {value!r})" if isinstance(value, str | int | float | bool) else ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _wrong_line(text: str) -> int | None:
    """Where the standard reader stumbles too: tomlkit names no line for a key that a table has twice."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+),", str(error))
        return int(found[1]) if found else None
    return None


def _missing_hint(where: Sequence[str | int]) -> str:
    if where and where[0] == "secrets":
        return ": `leadfold init` makes it, and it must stay the same for the life of the data"
    if where and where[-1] == "secret":
        return ": `leadfold sources add` makes it"
    return ""


def _suggestion(where: Sequence[str | int]) -> str:
    known = _known_keys(where[:-1])
    return _near(str(where[-1]), known) or (
        f"; known here: {', '.join(sorted(known))}" if len(known) < 12 else ""
    )


def _near(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def _known_keys(where: Sequence[str | int]) -> list[str]:
    """Names that may stand in the table at a path."""
    model: type[BaseModel] | None = Settings
    for part in where:
        if isinstance(part, int) or model is None:
            continue
        one = model.model_fields.get(part) or next(
            (f for f in model.model_fields.values() if f.alias == part), None
        )
        model = _model_in(one.annotation) if one else None
    return [f.alias or name for name, f in model.model_fields.items()] if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        if (found := _model_in(argument)) is not None:
            return found
    return None
