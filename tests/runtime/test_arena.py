"""Arena placement: properties that any placement must have."""

from hypothesis import given
from hypothesis import strategies as st

from quantcore.runtime.arena import ALIGNMENT, Lifetime, place

lifetimes = st.builds(
    lambda size, first, length: Lifetime(size, first, first + length),
    st.integers(0, 5000),
    st.integers(0, 20),
    st.integers(0, 20),
)


@given(st.dictionaries(st.integers(0, 40), lifetimes, max_size=25))
def test_tensors_alive_together_never_share_memory(tensors: dict[int, Lifetime]) -> None:
    offsets, total = place(tensors)
    assert offsets.keys() == tensors.keys()
    for key, lifetime in tensors.items():
        assert offsets[key] % ALIGNMENT == 0
        assert offsets[key] + lifetime.size <= total
        for other, its in tensors.items():
            if other == key or lifetime.first > its.last or its.first > lifetime.last:
                continue
            disjoint = (
                offsets[key] + lifetime.size <= offsets[other] or offsets[other] + its.size <= offsets[key]
            )
            assert disjoint


def test_a_chain_needs_only_its_two_largest_neighbours() -> None:
    chain = {i: Lifetime(size, i, i + 1) for i, size in enumerate([64, 640, 640, 64, 128])}
    _, total = place(chain)
    assert total == 1280


def test_nothing_needs_nothing() -> None:
    assert place({}) == ({}, 0)
