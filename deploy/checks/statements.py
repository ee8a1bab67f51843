"""Checks that SQL is made of fixed texts only: whatever comes from outside is a bound parameter.

Run as ``python -m deploy.checks.statements``. In each package the statement given to ``execute``, ``executemany``,
``executescript`` or ``copy`` must be made of

- literals, and constants in capitals: they are made when their module is imported, before anybody outside said anything;
- names of schemas: ``schema``, ``….schema``, ``check_schema(…)``, ``schema_name(…)``. A name that came out of the database passes
  `projector.readmodel.tables.check_schema` where it is read;
- parts that psycopg quotes: ``sql.Identifier``, ``sql.Literal``, ``sql.Placeholder``;
- variables of the same function that are given such texts and nothing else.

Everything else is a place in `ALLOWED`, with the reason why nothing from outside gets into it. A place that is no longer needed
there is an error too.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("domain", "eventlog", "ingest", "projector", "reports", "leadfold")
METHODS = frozenset({"execute", "executemany", "executescript", "copy"})
NAMES_OF_SCHEMAS = frozenset({"check_schema", "schema_name"})
QUOTED = frozenset({"Identifier", "Literal", "Placeholder"})

_DDL = "DDL of a function of ours, made of the tables of domain.rows and a name that passed check_schema"
_ROWS = "tables and columns are those of domain.rows, the schema's name is checked"
_COMPILED = (
    "compiled by reports.compiler out of the catalogue; what a reader asked for is in its bound values"
)
_RELATION = "a relation of the report's own snapshot: a checked schema's table or a numbered temporary one"

#: ``path:function`` → why nothing from outside gets into the statement there.
ALLOWED: dict[str, str] = {
    "eventlog/embedded/file.py:_name": "the text is a literal, its only gap takes a UUID made here",
    "eventlog/embedded/salvage.py:_range": "literals of a list right there",
    "projector/builds_store.py:_insert": _DDL,
    "projector/builds_store.py:_make_views": _DDL,
    "projector/builds_store.py:prepare": _DDL,
    "projector/compare.py:_table": _ROWS + ": names of two builds and of a table",
    "projector/facts.py:write": "the columns are those of a literal list",
    "projector/filling.py:_analyze": "called with names of our tables only",
    "projector/filling.py:run": _DDL,
    "projector/groups.py:_merge": _ROWS,
    "projector/lines.py:copy": "table and columns are its caller's: domain.rows and a checked schema",
    "projector/migrate.py:_apply": "a migration of this package",
    "projector/migrate.py:_make_role": "a literal out of the list below it",
    "projector/readmodel/history.py:groups_touched_since": "made of literals by `_touched`, values bound",
    "projector/readmodel/history.py:load_histories": "made of literals by `_query`, values bound",
    "projector/readmodel/history.py:locate": "made of literals and a checked schema by `place_query`",
    "projector/readmodel/live.py:load_directory": "made of literals and names of fact types by `directory_query`",
    "projector/rows.py:_upsert": _ROWS,
    "projector/rows.py:apply": _ROWS,
    "projector/rows.py:load": _ROWS,
    "projector/status.py:_count": "a statement of a function of the same module",
    "reports/card.py:inquiry": "made of literals and a checked schema",
    "reports/card.py:inquiry_of_event": "tables are those of a literal list",
    "reports/card.py:line": _COMPILED,
    "reports/card.py:rows": "columns and order are literals of the same module, " + _ROWS,
    "reports/columns/loading.py:load": "columns are those of the catalogue, the schema's name is checked",
    "reports/columns/report.py:_loose": _COMPILED,
    "reports/drill.py:_fetched": _COMPILED,
    "reports/drill.py:lines_of": _COMPILED,
    "reports/engine.py:_fetched": _COMPILED,
    "reports/engine.py:_not_connected": _RELATION,
    "reports/overlay.py:_copy": _RELATION,
    "reports/overlay.py:_moved": _RELATION,
    "reports/overlay.py:_overlay": _RELATION,
    "reports/rollup/refresh.py:_missing": _COMPILED,
    "reports/rollup/refresh.py:_sum": _COMPILED,
    "reports/rollup/refresh.py:_sum_months": "columns of sums are those of the catalogue",
    "reports/rollup/refresh.py:pack": _COMPILED,
    "reports/rollup/refresh.py:refresh": _DDL,
    "leadfold/cli/sql.py:_run": "`leadfold sql` runs what the operator wrote, as the analysts' login",
    "leadfold/services/directory.py:published_before": "made of literals and names of fact types by `directory_query`",
}


_UNKNOWN = ast.Name("?")


@dataclass
class Scope:
    """What the names of a function, or of a module, were given."""

    given: dict[str, list[ast.expr]] = field(default_factory=dict)
    outer: "Scope | None" = None

    def find(self, name: str) -> list[ast.expr] | None:
        """All that the name is given, where it is given anything."""
        if name in self.given:
            return self.given[name]
        return None if self.outer is None else self.outer.find(name)


def scope_of(body: Iterable[ast.stmt], outer: Scope | None) -> Scope:
    """The assignments of a body, nested functions left out."""
    scope = Scope(outer=outer)
    for node in _walk(body):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                scope.given.setdefault(name, []).append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                scope.given.setdefault(name, []).append(value)
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                scope.given.setdefault(name, []).append(value)
            case ast.For(target=ast.Name(id=name), iter=ast.Tuple(elts=elements) | ast.List(elts=elements)):
                scope.given.setdefault(name, []).extend(elements)
            case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
                for each in ast.walk(target):
                    if isinstance(each, ast.Name):
                        scope.given.setdefault(each.id, []).append(_UNKNOWN)
            case _:
                pass
    return scope


def _walk(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of a body, without those of the functions in it."""
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            todo.extend(ast.iter_child_nodes(node))


def fixed(node: ast.expr, scope: Scope, depth: int = 0) -> bool:
    """Whether a text is made of what the module's docstring allows."""
    match node:
        case _ if depth > 20:
            return False
        case ast.Constant() | ast.Attribute(attr="schema") | ast.Name(id="schema"):
            return True
        case ast.JoinedStr(values=parts):
            return all(fixed(each, scope, depth + 1) for each in parts)
        case ast.FormattedValue(value=value):
            return fixed(value, scope, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right) | ast.IfExp(body=left, orelse=right):
            return fixed(left, scope, depth + 1) and fixed(right, scope, depth + 1)
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)) if name.isupper():
            return True
        case ast.Name(id=name):
            found = scope.find(name)
            return found is not None and all(fixed(each, scope, depth + 1) for each in found)
        case ast.Call():
            return _fixed_call(node, scope, depth + 1)
        case _:
            return False


def _fixed_call(call: ast.Call, scope: Scope, depth: int) -> bool:
    match call.func:
        case ast.Name(id=name):
            return name in NAMES_OF_SCHEMAS
        case ast.Attribute(attr=name) if name in QUOTED:
            return True
        case ast.Attribute(attr="SQL"):
            parts = list(call.args)
        case ast.Attribute(value=value, attr="encode" | "format" | "replace"):
            parts = [value, *call.args, *(each.value for each in call.keywords)]
        case _:
            return False
    return all(fixed(each, scope, depth) for each in parts)


@dataclass(frozen=True)
class Statement:
    """A place where a statement is not fixed."""

    path: str
    function: str
    line: int

    @property
    def key(self) -> str:
        """Its name in `ALLOWED`."""
        return f"{self.path}:{self.function}"


def open_statements(text: str, path: str) -> list[Statement]:
    """The statements of a module that are not fixed."""
    module = ast.parse(text)
    found: list[Statement] = []

    def visit(body: list[ast.stmt], scope: Scope, name: str) -> None:
        for node in _walk(body):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = scope_of(node.body, scope)
                for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                    own.given.setdefault(argument.arg, []).append(_UNKNOWN)
                visit(node.body, own, node.name)
            elif isinstance(node, ast.ClassDef):
                visit(node.body, scope, name)
            elif isinstance(node, ast.Lambda):
                visit([ast.Expr(node.body)], scope, name)
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in METHODS
                and node.args
                and not fixed(node.args[0], scope)
            ):
                found.append(Statement(path, name, node.lineno))

    visit(module.body, scope_of(module.body, None), "")
    return found


def check(root: Path = ROOT, allowed: dict[str, str] | None = None) -> list[str]:
    """What is wrong, one line each; nothing when all is well."""
    allowed = ALLOWED if allowed is None else allowed
    wrong: list[str] = []
    used: set[str] = set()
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            path = file.relative_to(root).as_posix()
            for statement in open_statements(file.read_text(encoding="utf-8"), path):
                used.add(statement.key)
                if statement.key not in allowed:
                    wrong.append(
                        f"{path}:{statement.line} ({statement.function}): the statement is not fixed"
                    )
    wrong += [f"{key}: need not be allowed any more" for key in sorted(allowed.keys() - used)]
    return wrong


def main() -> int:
    """For ``make lint``."""
    wrong = check()
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"SQL is made of fixed texts but for {len(ALLOWED)} places with a reason")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
