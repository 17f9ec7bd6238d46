from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.lease import lease_seconds

SHORTEST = 30


@given(st.floats(min_value=SHORTEST, max_value=86_400))
def test_what_it_ends_is_gone_before_others_take_over(timeout: float) -> None:
    assert 0 < lease_seconds(timeout) <= 0.9 * timeout - 10


@given(st.floats(min_value=0, max_value=11))
def test_where_no_time_is_left_nothing_is_begun(timeout: float) -> None:
    assert lease_seconds(timeout) == 0
