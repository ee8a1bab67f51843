"""Writes the tables of the documentation from the code: settings, rules, metrics, commands."""

import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer.main
from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from domain.codes import without_codes
from domain.rules import Rules
from leadfold import metrics
from leadfold.cli import app as command_line
from leadfold.settings import Settings

#: Meanings of settings whose field says nothing.
MEANINGS = {
    "log.engine": "`embedded`: a file in the data folder; `kafka`: a topic of yours",
    "log.topic": "the topic's name",
    "log.security": "how to talk to the brokers",
    "log.sasl_mechanism": "with `sasl_…`: how the password is proved",
    "log.username": "with `sasl_…`",
    "log.password": "with `sasl_…`",
    "ingest.host": "address to listen on",
    "ingest.port": "port of the webhooks; 0 lets the system choose",
    "ingest.max_body_bytes": "a longer body is answered with 413",
    "ingest.max_fields": "fields, array items and object members of one delivery; with more it is kept as unreadable",
    "ingest.max_depth": "nesting of a body; deeper ones are kept as unreadable",
    "reports.host": "address to listen on: of this machine only",
    "reports.port": "port of the pages and their API",
    "projector.port": "port of its health and metrics; left out, another one is taken when this is in use",
    "logging.level": "what is said at all",
    "sources.name": "small letters, digits, `.` `-` `_`: part of the address and of event ids; never change it",
    "sources.office": "office (an id of `[[offices]]`) of everything that comes from here",
    "offices.id": "never changes; other tables name it",
    "offices.label": "shown in reports",
    "offices.label_en": "shown in reports in English",
    "offices.timezone": "its days begin and end by this clock; absent: the company's",
    "employees.id": "never changes",
    "employees.name": "shown in reports",
    "employees.team": "department, for grouping and rates",
    "employees.office": "an id of `[[offices]]`",
    "employees.role": "free text",
    "employees.extensions": 'as `"101"` or `{ ext = "101", from = 2026-01-01, to = 2026-03-01, source = "main" }`',
    "employees.logins": "how chats and CRMs call this person",
    "employees.phones": "own numbers: calls with them are internal",
    "numbers.number": "our number, written in full: `+74951234567`",
    "numbers.channel": "traffic source that it stands for",
    "numbers.office": "an id of `[[offices]]`",
    "numbers.from": "first local day",
    "plans.from": "first local day",
    "plans.metric": "`arrival_rate`: roubles for one arrival",
    "plans.value": "the rate",
    "plans.employee": "an id of `[[employees]]`; absent: everybody, or the team",
    "plans.team": "a team; not together with `employee`",
    "stages.pipeline": "the pipeline it belongs to",
    "stages.group": "what it means",
    **{f"{table}.id": "never changes" for table in ("stages", "reasons", "categories")},
    **{f"{table}.label": "shown in reports" for table in ("stages", "reasons", "categories")},
    **{f"{table}.label_en": "shown in reports in English" for table in ("stages", "reasons", "categories")},
}

#: Words for the rules whose field only names its source.
RULES = {
    "target_categories": "categories that make an inquiry a target one (D-0.1, R0.32)",
    "valid_reasons": "refusals with these reasons are «уважительные» and hide the inquiry (D-0.4, R0.42)",
    "missed_unprocessed_is_target": "missed calls that nobody has processed count as target inquiries (D-0.1)",
    "attribution_days": "how old a target inquiry may be to get a booking, arrival or sale (D-0.5)",
    "continue_days": "an inquiry joins the open lead if its last touch is not longer ago (L2, L3)",
    "reopen_days": "a target inquiry opens a lost lead again if it was lost not longer ago (L6)",
    "won_join_days": "a non-target inquiry joins a won lead if it was won not longer ago (L5)",
    "request_return_hours": "our call after a form, or a chat in which nobody replied, is the answer to it (L11)",
    "missed_window_hours": "further missed calls of the client are the same inquiry (L10)",
    "missed_return_hours": "our call after a missed one is its return (L8)",
    "outgoing_category_hours": "a category told by phone means our call of not longer ago that answered nothing (D-0.10)",
    "clock_skew_seconds": "a fact of so shortly before a client's first inquiry is about it: two systems' clocks differ",
    "form_duplicate_minutes": "the same form from the same person is one (L13)",
    "chat_silence_hours": "after such a silence a dialogue is a new inquiry (R0.18)",
    "same_call_seconds": "two systems tell one call: the largest difference of their starts",
    "tracking_match_minutes": "a hit of call tracking belongs to a call that is not farther away",
    "unknown_end_hours": "a call without an end is over after so long, with an unknown result (D-4.18)",
    "absorb_minutes": "a CRM's lead absorbs the lead that we opened shortly before (L16)",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


# --- settings -----------------------------------------------------------------------------------------------------


class Setting(typing.NamedTuple):
    """One setting: ``path`` is ``ingest.port``, ``environment`` its variable (empty for items of lists)."""

    path: str
    environment: str
    default: str
    meaning: str
    limits: str
    listed: bool


@cache
def settings() -> tuple[Setting, ...]:
    """Every setting that may stand in leadfold.toml. Raises KeyError for one without a meaning."""
    return tuple(_settings())


def _settings() -> Iterator[Setting]:
    for name, field in Settings.model_fields.items():
        model = model_in(field.annotation)
        if model is None:
            yield _setting(name, field, f"LEADFOLD_{name}".upper(), listed=False)
            continue
        listed = typing.get_origin(field.annotation) is tuple
        for key, inner in model.model_fields.items():
            path = f"{name}.{inner.alias or key}"
            # The rules have a table of their own: they are not settings of the program but of the fold.
            if name != "rules" or key == "valid_from":
                environment = "" if listed or name == "rules" else f"LEADFOLD_{name}__{key}".upper()
                yield _setting(path, inner, environment, listed=listed)


def _setting(path: str, field: FieldInfo, environment: str, *, listed: bool) -> Setting:
    meaning = MEANINGS.get(path) or field.description or MEANINGS[path]
    return Setting(path, environment, _default(field), without_codes(meaning), _limits(field), listed)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a section, or of the items of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and inner:
        return model_in(inner[0])
    return None


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined and field.default_factory is None:
        return "must be given"
    if value is None or value in ((), "") or field.default_factory is not None:
        return "absent"
    if isinstance(value, SecretStr):
        return "absent"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _limits(field: FieldInfo) -> str:
    words = []
    for one in field.metadata:
        match one:
            case Ge(ge=low):
                words.append(f"≥ {low}")
            case Gt(gt=low):
                words.append(f"> {low}")
            case Le(le=high):
                words.append(f"≤ {high}")
            case MinLen(min_length=low):
                words.append(f"at least {low} character{'s' * (low > 1)}")
            case MaxLen(max_length=high):
                words.append(f"at most {high} characters")
            case _:
                continue
    choices = choices_in(field.annotation)
    return ", ".join(words) or " · ".join(f"`{c}`" for c in choices)


def choices_in(annotation: Any) -> tuple[str, ...]:
    """The values of a Literal, also behind ``| None``."""
    if typing.get_origin(annotation) is typing.Literal:
        return tuple(str(a) for a in typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((found for a in typing.get_args(annotation) if (found := choices_in(a))), ())
    return ()


def settings_tables() -> str:
    """A table for each section of leadfold.toml."""
    sections: dict[str, list[Setting]] = {}
    for one in settings():
        section, _, _ = one.path.rpartition(".")
        sections.setdefault(section, []).append(one)
    parts = []
    for section, found in sections.items():
        title = (
            f"`[[{section}]]`"
            if found[0].listed
            else f"`[{section}]`"
            if section
            else "At the top of the file"
        )
        head = ["setting", "default", "allowed", "meaning"]
        rows = [[f"`{s.path.rpartition('.')[2]}`", s.default, s.limits, s.meaning] for s in found]
        if found[0].environment:
            head.insert(1, "environment")
            for row, one in zip(rows, found, strict=True):
                row.insert(1, f"`{one.environment}`")
        parts.append(f"## {title}\n\n{table(head, rows)}")
    return "\n".join(parts)


def rules_table() -> str:
    """The rules by which facts are interpreted."""
    return table(
        ("rule", "default", "meaning"),
        (
            (f"`{name}`", _default(field), without_codes(RULES[name]))
            for name, field in Rules.model_fields.items()
        ),
    )


# --- metrics ------------------------------------------------------------------------------------------------------


def metrics_table() -> str:
    """The registry of all metrics."""
    return metrics.table() + "\n"


# --- commands -----------------------------------------------------------------------------------------------------


Command = TyperCommand | TyperGroup


@cache
def command_tree() -> TyperGroup:
    """`leadfold` with all its commands."""
    command_line.register()
    found = typer.main.get_command(command_line.app)
    assert isinstance(found, TyperGroup)
    return found


def commands() -> Iterator[tuple[str, Command]]:
    """Every command with its whole name: ``("leadfold sources add", …)``; groups too, before their own."""
    yield from _walk("leadfold", command_tree())


def _walk(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    yield name, command
    for word, sub in sorted(subcommands(command).items()):
        yield from _walk(f"{name} {word}", sub)


def subcommands(command: Command) -> dict[str, Command]:
    """Commands of a group; none of a command."""
    if not isinstance(command, TyperGroup):
        return {}
    return {name: sub for name, sub in command.commands.items() if isinstance(sub, TyperCommand | TyperGroup)}


def options(command: Command) -> list[TyperOption]:
    """Options of a command, without ``--help``."""
    return [p for p in command.params if isinstance(p, TyperOption) and "--help" not in p.opts]


def commands_text() -> str:
    """A chapter for each command."""
    return "\n".join(_command(name, command) for name, command in commands() if name != "leadfold")


def _command(name: str, command: Command) -> str:
    arguments = [p for p in command.params if isinstance(p, TyperArgument)]
    usage = [name, *(_argument(a) for a in arguments)]
    usage += ["[OPTIONS]"] if options(command) else []
    usage += ["COMMAND"] if subcommands(command) else []
    parts = [
        f"{'##' if name.count(' ') == 1 else '###'} `{name}`",
        f"`{' '.join(usage)}`",
        _prose(command.help or ""),
    ]
    rows = [(f"`{_argument(a)}`", _said(a)) for a in arguments]
    rows += [(f"`{_option(o)}`", _said(o)) for o in options(command)]
    if rows:
        parts.append(table(("", "meaning"), rows).rstrip("\n"))
    return "\n\n".join(parts) + "\n"


def _prose(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _argument(argument: TyperArgument) -> str:
    name = argument.metavar or str(argument.name).upper()
    return name if argument.required else f"[{name}]"


def _option(option: TyperOption) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.metavar or _value(option)}"


def _value(option: TyperOption) -> str:
    words = {int: "NUMBER", float: "NUMBER", Path: "FILE"}
    return words.get(option.type_descriptor.annotation, "TEXT")


def _said(param: TyperArgument | TyperOption) -> str:
    text = str(param.help or "").strip()
    default = param.default
    if (isinstance(param, TyperOption) and param.is_flag) or default in (None, "", ()) or callable(default):
        return text
    return f"{text} Default: `{default}`."
