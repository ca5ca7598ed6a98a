"""Acks that gather reach the broker in few frames, and each delivery as it was meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mycelium_messaging.acks import Acks


class Broker:
    """What a broker makes of what it is told."""

    def __init__(self) -> None:
        self.waits: set[int] = set()
        self.acked: set[int] = set()

    def hear(self, tag: int, *, up_to_it: bool) -> None:
        told = {each for each in self.waits if each <= tag} if up_to_it else {tag}
        assert told <= self.waits
        assert told
        self.waits -= told
        self.acked |= told


@given(st.lists(st.tuples(st.sampled_from(["came", "acked", "refused", "told"]), st.integers(0, 20))))
def test_whatever_the_order_exactly_those_are_acked_that_were_meant(story: list[tuple[str, int]]) -> None:
    acks, broker, meant, last = Acks(), Broker(), set[int](), 0
    unsettled: list[int] = []
    for step, which in story:
        if step == "came":
            last += 1
            acks.came(last)
            broker.waits.add(last)
            unsettled.append(last)
        elif step == "told":
            for tag, up_to_it in acks.told():
                broker.hear(tag, up_to_it=up_to_it)
            assert broker.acked == meant
            assert not acks
        elif unsettled:
            tag = unsettled.pop(which % len(unsettled))
            if step == "acked":
                acks.gather(tag)
                meant.add(tag)
            else:
                acks.refused(tag)
                broker.waits.discard(tag)


def test_those_that_were_done_in_their_order_take_one_frame() -> None:
    acks = Acks()
    for tag in range(1, 6):
        acks.came(tag)
    for tag in (2, 1, 3, 5):
        acks.gather(tag)
    assert list(acks.told()) == [(3, True), (5, False)]
    acks.gather(4)
    assert list(acks.told()) == [(4, True)]
