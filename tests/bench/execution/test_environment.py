"""What a result says of where it comes from."""

import pytest

from bench.execution import environment


def test_the_commit_may_be_named_where_git_can_not(monkeypatch: pytest.MonkeyPatch) -> None:
    environment.commit.cache_clear()
    monkeypatch.setenv("GLASS_BENCH_COMMIT", "abc123")
    assert environment.commit() == "abc123"
    environment.commit.cache_clear()
