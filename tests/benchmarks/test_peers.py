"""The comparison with other libraries: the same data for all, times and ratios, and a word where one is absent."""

from dataclasses import replace
from functools import partial

import numpy as np
import peer_rows
import peers
import pytest
from peer_rows import Clock, Contest

from bench.errors import SkippedRun
from bench.evaluation.evaluator import validation_ndcg


@pytest.fixture
def contest(monkeypatch: pytest.MonkeyPatch) -> Contest:
    monkeypatch.setattr(peers, "EVENTS", 12)
    monkeypatch.setattr(peers, "ITEMS", 30)
    return replace(peers.contest_on(peers.generated(users=9), length=6, sequences=4, epochs=3), dim=8)


def test_all_get_the_last_training_events_of_each_user(contest: Contest) -> None:
    everything = peers.generated(users=9).interactions
    kept = contest.train.interactions
    assert kept.lengths.tolist() == [7] * 9
    for user in range(9):
        whole = everything.items[everything.row(user)]
        assert kept.items[kept.row(user)].tolist() == whole[-9:-2].tolist()
        assert contest.test.targets[user] == whole[-1]


def test_sides_take_turns_and_what_is_not_installed_is_named(
    contest: Contest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(contest: Contest, clock: Clock) -> None:
        raise SkippedRun("not here: pip install it")

    monkeypatch.setitem(peers.ROWS, "peer:absent", absent)
    figures = peers.held(contest, ["sasrec-ce", "peer:absent", "hstu"], repeats=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["sasrec-ce", "left out peer", "hstu", "sasrec-ce", "hstu"]
    assert lines[1] == "left out peer:absent: not here: pip install it"
    assert list(figures) == ["sasrec-ce", "hstu"]
    assert all(len(seen.clock) == len(seen.processor) == 4 and len(seen.ndcg) == 2 for seen in figures.values())


def test_a_peer_is_compared_with_our_row() -> None:
    ours, other = (peers.Figures([s, 2 * s], [s / 2, s], [0.25]) for s in (1.0, 3.0))
    lines = peers.table_of({"hstu": ours, "peer:rectools-hstu": other}).splitlines()
    assert lines[-2] == "| hstu | 1.50 (1.25 to 1.75) | 0.75 (0.62 to 0.88) |  | 0.2500 |"
    assert "| 3.0 x (3.0 x processor) |" in lines[-1]


def test_the_first_epoch_is_not_counted() -> None:
    assert Clock([(5.0, 1.0), (7.0, 2.0), (8.0, 2.5)]).epochs(0) == [2.0, 1.0]


def test_arguments_that_make_no_comparison_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, complaint in ((["--rows", "sasrec"], "unknown row 'sasrec'"), (["--epochs", "1"], "at least 2")):
        monkeypatch.setattr("sys.argv", ["peers.py", *words])
        with pytest.raises(SystemExit, match="2"):
            peers.main()
        assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("name", ["SASRecModel", "HSTUModel"])
def test_rectools_answers_every_query_that_it_knows_an_item_of(contest: Contest, name: str) -> None:
    pytest.importorskip("rectools.models")
    clock = Clock()
    recommender = partial(peer_rows.rectools, name)(contest, clock)
    answer = recommender.recommend(contest.test.histories(0, 9), 5)
    assert len(clock.epochs(0)) == contest.epochs - 1
    assert (answer.items >= 0).all()
    assert np.isfinite(answer.scores).all()
    assert 0 <= validation_ndcg(recommender, contest.test) <= 1
