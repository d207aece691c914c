from random import Random

from hypothesis import given
from hypothesis import strategies as st

from emulator.engine.ordered import KeyIndex

KEYS = st.text("abc", max_size=4)


@given(st.lists(st.tuples(st.booleans(), KEYS)), KEYS)
def test_an_index_is_a_sorted_set(steps: list[tuple[bool, str]], after: str) -> None:
    index, model = KeyIndex(), set[str]()
    for add, key in steps:
        if add:
            index.add(key)
            model.add(key)
        else:
            index.discard(key)
            model.discard(key)
        assert len(index) == len(model)
    assert list(index) == sorted(model)
    assert list(index.after(after)) == sorted(key for key in model if key > after)


@given(st.integers(), st.sets(st.integers(0, 2999)))
def test_many_keys_lie_in_many_blocks(seed: int, removed: set[int]) -> None:
    order = list(range(3000))
    Random(seed).shuffle(order)  # noqa: S311 - an order, no secret
    index = KeyIndex()
    for number in order:
        index.add(f"{number:05}")
    for number in removed:
        index.discard(f"{number:05}")
    left = [f"{number:05}" for number in range(3000) if number not in removed]
    assert list(index) == left
    assert list(index.after("01500")) == [key for key in left if key > "01500"]
    assert list(KeyIndex(left)) == left
