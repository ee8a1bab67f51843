"""The check of SQL finds what could carry a text from outside into a statement, and leaves bound parameters alone."""

from pathlib import Path

import pytest

from deploy.checks import statements

GOOD = """
QUERY = "select 1"

async def fine(conn, schema, build, name, value):
    await conn.execute(QUERY)
    await conn.execute("select %s", (value,))
    await conn.execute(f"select * from {check_schema(name)}.fact where id = %s".encode(), (value,))
    await conn.execute(f"drop schema {build.schema}" + " cascade")
    text = f"select count(*) from {schema}.fact"
    if value:
        text += " where dead"
    await conn.execute(text)
    for where in ("is null", "< %s"):
        await conn.execute(f"select 1 from x where y {where}", (value,))
    await conn.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
"""


def test_fixed_texts_and_bound_values_pass() -> None:
    assert statements.open_statements(GOOD, "a.py") == []


@pytest.mark.parametrize(
    "line",
    [
        """conn.execute(f"select * from x where name = '{value}'")""",
        'conn.execute("select * from x where name = " + value)',
        'conn.execute("select * from x where name = %s" % value)',
        'conn.execute("select * from {}".format(value))',
        'conn.execute("select %s".replace("%s", value))',
        'conn.execute(sql.SQL("select {}").format(value))',
        "conn.execute(sql.SQL(value))",
        "conn.execute(value.encode())",
        "conn.executemany(made(value), [])",
        "cursor.copy(f'copy {value} from stdin')",
        "[conn.execute(each) for each in value]",
        "(lambda: conn.execute(value))()",
    ],
)
def test_whatever_is_put_into_a_text_is_found(line: str) -> None:
    found = statements.open_statements(f"def wrong(conn, value):\n    {line}\n", "a.py")
    assert [(one.key, one.line) for one in found] == [("a.py:wrong", 2)]


def test_a_variable_is_as_good_as_all_that_it_is_given() -> None:
    text = (
        "def wrong(conn, value):\n    q = 'select 1'\n    if value:\n        q = value\n    conn.execute(q)\n"
    )
    assert [one.line for one in statements.open_statements(text, "a.py")] == [5]


def test_a_parameter_hides_a_constant_of_its_name() -> None:
    text = "query = 'select 1'\ndef wrong(conn, query):\n    conn.execute(query)\n"
    assert [one.line for one in statements.open_statements(text, "a.py")] == [3]


def test_the_project_keeps_to_it_and_a_place_that_needs_no_leave_is_told(tmp_path: Path) -> None:
    assert statements.check() == []
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "new.py").write_text("def wrong(conn, value):\n    conn.execute(value)\n")
    assert statements.check(tmp_path, {"domain/old.py:gone": "it was so"}) == [
        "domain/new.py:2 (wrong): the statement is not fixed",
        "domain/old.py:gone: need not be allowed any more",
    ]
