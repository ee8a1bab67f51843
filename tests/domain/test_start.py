"""What imports the catalogue of facts pays for the facts that it uses, not for all of them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

_CATALOGUE = "from domain.facts.registry import FACTS, read_fact; "
_BUILT = "print(*[name for name, model in FACTS.items() if model.__pydantic_complete__])"


def told(code: str) -> list[str]:
    """What a Python of its own prints, in words."""
    done = subprocess.run(
        [sys.executable, "-c", _CATALOGUE + code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_no_fact_is_built_before_its_first_use() -> None:
    builtin_words = ["dictionary.changed"]
    assert told("import leadfold.config_file; " + _BUILT) == builtin_words
    assert told(_BUILT) == []
    assert told("read_fact('order.opened', 1, {'order_id': '7'}); " + _BUILT) == ["order.opened"]


def test_a_fact_that_many_threads_use_first_at_once_is_read_by_all() -> None:
    """Each of the catalogue's types, by eight threads at the same moment."""
    code = (
        "from tests.domain.test_start import all_at_once; import sys; sys.setswitchinterval(1e-6); "
        "print(sum(all_at_once(model) for model in FACTS.values()), len(FACTS))"
    )
    right, types = told(code)
    assert int(right) == int(types) > 40


def all_at_once(model: type) -> bool:
    """Whether eight threads that use a model for the first time get its fields or its refusal, and all the same one."""
    barrier = Barrier(8)

    def use(_: int) -> str:
        barrier.wait()
        try:
            return repr(model.model_validate({}))  # type: ignore[attr-defined]
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(use, range(8)))
    return len(answers) == 1 and "fully defined" not in answers.pop()
