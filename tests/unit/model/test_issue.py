import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.errors import UsageError
from claude_flow.model.issue import IssueRef, Repository

OWNERS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True).filter(
    lambda name: name not in {".", ".."}
)


@given(OWNERS, NAMES, st.integers(1, 9_999_999_999))
def test_what_is_written_is_read_back(owner: str, name: str, number: int) -> None:
    ref = IssueRef(Repository(owner, name), number)
    assert IssueRef.parse(str(ref)) == ref
    assert Repository.parse(str(ref.repository)) == ref.repository


@pytest.mark.parametrize(
    "text",
    [
        *("", "acme", "acme/", "/widgets", "acme/widgets#", "acme/widgets#0", "acme/widgets#07"),
        *("acme/widgets#-1", "acme/..#1", "acme/.#1", "-acme/widgets#1", "acme/wid gets#1"),
        *("acme/widgets#1\n", " acme/widgets#1", "acme/a/b#1", "acme/widgets#1٣"),
    ],
)
def test_what_names_no_issue_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        IssueRef.parse(text)
    assert repr(text) in str(raised.value)
    assert "owner/name#7" in str(raised.value)


@given(st.text())
def test_any_text_is_a_repository_or_wrong_usage(text: str) -> None:
    try:
        repository = Repository.parse(text)
    except UsageError:
        return
    assert str(repository) == text
    assert ".." not in {repository.owner, repository.name}
