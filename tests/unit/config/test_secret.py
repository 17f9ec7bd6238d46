from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest

from claude_flow.config import Secret

TEXT = "a-token-of-no-known-shape"


def test_no_way_to_print_it_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(TEXT)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        str([secret]),
        str({1: secret}),
    ]
    with pytest.raises(TypeError) as caught:
        json.dumps(secret)
    shown.append(str(caught.value))
    logging.getLogger("claude_flow").error("token %s of %r", secret, [secret])
    shown.append(caplog.text)
    for text in shown:
        assert TEXT not in text
    assert secret.reveal() == TEXT


def test_it_compares_by_its_text_and_only_with_its_kind() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret("another")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT)}) == 1


def test_it_is_neither_pickled_nor_copied() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError, match="not pickled"):
        copy.copy(Secret(TEXT))
