"""Finds what the documents name that does not exist: commands, options, make targets, settings, metrics, files, links."""

import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from deploy.checks import docs_tables
from leadfold import metrics

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[\s(;&|$/])leadfold[ \t]+((?!\.)[^\n;&|><)]*)", re.MULTILINE)
_MAKE = re.compile(r"(?:^|[\s(;&|])make[ \t]+([^\n;&|><)#]*)", re.MULTILINE)
_ENVIRONMENT = re.compile(r"\bLEADFOLD_[A-Z0-9_]+")
_SETTING = re.compile(r"^\[(\w+)\] (\w+)")
_METRIC = re.compile(r"\bleadfold_(?:ingest|projector|report)_\w+")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
_FOLDERS = [
    "docs",
    "deploy",
    "domain",
    "eventlog",
    "ingest",
    "projector",
    "reports",
    "leadfold",
    "schemas",
    "tests",
]
_FILE = re.compile(rf"^((?:{'|'.join(_FOLDERS)})/[\w./*-]*|[A-Za-z]+\.(?:md|toml|lock)|Makefile|LICENSE)$")

#: Variables that are no settings: where the file is, what the compose file asks for, where children write their log.
_OTHER_VARIABLES = {"LEADFOLD_CONFIG", "LEADFOLD_DATABASE_URL", "LEADFOLD_PARTITIONS", "LEADFOLD_LOG_FILE"}
#: Files of an installation, or invented in an example.
_ELSEWHERE = re.compile(r"^(leadfold\.toml|openapi\.json)$|zvonok")
_SHELL = ("sh", "bash", "console", "")


def untrue(root: Path, documents: Iterable[Path]) -> list[str]:
    """One line for each thing that a document names and that is not there."""
    found = []
    for path in documents:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(root))
        code = list(_code(text))
        claims = [
            *_commands(code),
            *_targets(code, root),
            *_settings(code),
            *_metrics(text),
            *_files(text, root),
        ]
        found += [f"{name}: {wrong}" for wrong in [*claims, *_links(text, path)]]
    return list(dict.fromkeys(found))


def _code(text: str) -> Iterator[str]:
    """What people may copy into a shell: code blocks with their continued lines joined, and spans of code."""
    for language, block in _FENCE.findall(text):
        if language in _SHELL:
            yield re.sub(r"\\\n\s*", " ", block)
    yield from _SPAN.findall(_FENCE.sub("", text))


# --- commands -----------------------------------------------------------------------------------------------------


@cache
def _known_commands() -> dict[str, tuple[frozenset[str], bool]]:
    """Command → its options, and whether it has commands of its own."""
    return {
        name: (
            frozenset(
                o for option in docs_tables.options(command) for o in (*option.opts, *option.secondary_opts)
            ),
            bool(docs_tables.subcommands(command)),
        )
        for name, command in docs_tables.commands()
    }


def _commands(code: Iterable[str]) -> Iterator[str]:
    for text in code:
        for words in _COMMAND.findall(text):
            if (wrong := _wrong_command(words)) is not None:
                yield f"`leadfold {words.strip()}`: {wrong}"


def _wrong_command(line: str) -> str | None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a quote that ends beyond what was cut off
        words = line.split()
    command = "leadfold"
    skip = False
    for word in words:
        options, group = _known_commands()[command]
        if skip:
            skip = False
        elif word.startswith("--config"):
            skip = word == "--config"
        elif word.startswith("-") and len(word) > 1:
            option = word.partition("=")[0]
            if option not in options | {"--help", "-h"}:
                return f"{command} has no option {option}"
        elif group and word not in ("…", "...", "COMMAND"):
            if f"{command} {word}" not in _known_commands():
                return f"there is no command {command} {word}"
            command = f"{command} {word}"
    return None


def _targets(code: Iterable[str], root: Path) -> Iterator[str]:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for text in code:
        for words in _MAKE.findall(text):
            for word in words.split():
                variable, equals, _ = word.partition("=")
                if equals and variable.isupper():
                    if not re.search(rf"\b{variable}\b", makefile):
                        yield f"`make {words.strip()}`: the Makefile knows no {variable}"
                elif re.fullmatch(r"[a-z-]+", word):
                    if word not in targets:
                        yield f"`make {words.strip()}`: there is no target {word}"
                else:
                    break


# --- settings and metrics -----------------------------------------------------------------------------------------


def _settings(code: Iterable[str]) -> Iterator[str]:
    known = {s.environment for s in docs_tables.settings()} | _OTHER_VARIABLES
    paths = {s.path for s in docs_tables.settings()} | {f"rules.{name}" for name in docs_tables.RULES}
    for text in code:
        for name in _ENVIRONMENT.findall(text):
            if name not in known and not name.endswith("_"):
                yield f"`{name}`: there is no such setting"
        if (match := _SETTING.match(text)) and f"{match[1]}.{match[2]}" not in paths:
            yield f"`{match[0]}`: there is no such setting"


def _metrics(text: str) -> Iterator[str]:
    known = set(metrics.registry())
    for name in _METRIC.findall(text):
        if name not in known and re.sub(r"_(bucket|count|sum)$", "", name) not in known:
            yield f"`{name}`: there is no such metric"


# --- files and links ----------------------------------------------------------------------------------------------


def _files(text: str, root: Path) -> Iterator[str]:
    for span in _SPAN.findall(_FENCE.sub("", text)):
        name = span.strip().rstrip("/")
        if not _FILE.match(span.strip()) or _ELSEWHERE.search(name):
            continue
        there = any(root.glob(name)) if "*" in name else (root / name).exists()
        if not there and not (root / "docs" / name).exists():
            yield f"`{span}`: there is no such file"


def _links(text: str, path: Path) -> Iterator[str]:
    for link in _LINK.findall(_FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = unquote(link).partition("#")
        target = path.parent / file if file else path
        if not target.exists():
            yield f"dead link {link}"
        elif anchor and target.suffix == ".md" and anchor not in _anchors(target.read_text(encoding="utf-8")):
            yield f"dead link {link}: no such heading"


def _anchors(text: str) -> set[str]:
    """Anchors of the headings as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
