from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.config import Config, value_at, with_values
from bench.config_errors import key_paths
from bench.errors import BenchError, SkippedRun
from bench.recommender import Recommender
from bench.registry import BUILT_IN, model_class
from bench.search_space import USUAL, Choice, Dimension, LogUniform, Multiple, Uniform
from bench.spec import DatasetSpec, RunSpec
from bench.tuning.spaces import PATIENCE, VALIDATIONS, NothingToSearchError, space_of, with_stopping_rule


def run_of(name: str, model: type[Recommender], config: dict[str, object] | None = None) -> RunSpec:
    complete = model.Config.model_validate(config or {}).model_dump(mode="json")
    return RunSpec(
        dataset=DatasetSpec(name="ml-100k"), data_hash="", model=name, revision=1, config=complete, seed=0, label=name
    )


@given(value=st.floats(0.001, 1000), low=st.floats(0.01, 1), width=st.floats(0, 10))
@settings(deadline=None, max_examples=50)
def test_a_range_is_widened_to_hold_a_value_and_no_further(value: float, low: float, width: float) -> None:
    for dimension in (Uniform(low, low + width), LogUniform(low, low + width)):
        wide = dimension.including(value)
        assert wide.low == min(low, value)
        assert wide.high == max(low + width, value)


def test_options_are_joined_by_a_value_unless_they_hold_it() -> None:
    assert Choice((1, 2), None).options == ([1, 2], None)
    assert Choice((1, 2)).including([1, 2]) == Choice((1, 2))
    assert Choice(1, 2).including(3) == Choice(1, 2, 3)


def test_a_logarithmic_range_can_not_hold_zero() -> None:
    with pytest.raises(ValueError, match="positive"):
        LogUniform(0.0, 1.0)
    with pytest.raises(ValueError, match="positive"):
        LogUniform(0.1, 1.0).including(0.0)


def test_values_at_dotted_keys_are_read_and_replaced_in_a_copy() -> None:
    config = {"training": {"epochs": 3, "rates": [1, 2]}, "dim": 4}
    changed = with_values(config, {"training.epochs": 5, "dim": 8})
    assert changed == {"training": {"epochs": 5, "rates": [1, 2]}, "dim": 8}
    assert (value_at(changed, "training.epochs"), value_at(config, "training.epochs")) == (5, 3)


@pytest.mark.parametrize("name", BUILT_IN)
def test_both_ends_of_every_range_of_a_built_in_model_are_valid_values_as_they_stand(name: str) -> None:
    try:
        model = model_class(name)
    except SkippedRun as skipped:
        pytest.skip(str(skipped))
    base = run_of(name, model)
    if not has_space(model):
        with pytest.raises(BenchError, match=f"model '{name}' has nothing to tune"):
            space_of(model, base)
        return
    for key, dimension in space_of(model, base).items():
        assert dimension.including(value_at(base.config, key)) == dimension
        for value in ends(dimension):
            written = with_values(base.config, {key: value})
            assert model.Config.model_validate(written).model_dump(mode="json") == written


def has_space(model: type[Recommender]) -> bool:
    return bool(model.search_space) or bool(set(USUAL) & set(key_paths(model.Config)))


def ends(dimension: Dimension) -> tuple[object, ...]:
    return dimension.options if isinstance(dimension, Choice) else (dimension.low, dimension.high)


def test_what_a_model_declares_goes_before_the_usual_ranges_and_the_row_is_part_of_both() -> None:
    class Wide(Config):
        dropout: float = 0.9
        learning_rate: float = 1e-5
        size: int = 3

    class Model(Recommender):
        Config = Wide
        search_space = {"dropout": Uniform(0.1, 0.2), "size": Choice(1, 2)}  # noqa: RUF012

    assert space_of(Model, run_of("m", Model)) == {
        "dropout": Uniform(0.1, 0.9),
        "learning_rate": LogUniform(1e-5, 1e-2),
        "size": Choice(1, 2, 3),
    }


def test_keys_of_a_configuration_in_a_mapping_count_where_the_row_has_them() -> None:
    class Around(Config):
        inner: dict[str, object] = {}  # noqa: RUF012

    class Model(Recommender):
        Config = Around
        search_space = {"inner.dim": Choice(1, 2), "inner.training.rate": Uniform(0.0, 1.0)}  # noqa: RUF012

    row = run_of("m", Model, {"inner": {"dim": 5, "heads": 2}})
    assert space_of(Model, row) == {"inner.dim": Choice(1, 2, 5)}
    with pytest.raises(BenchError, match="nothing to tune"):
        space_of(Model, run_of("m", Model))

    class Misspelt(Model):
        search_space = {"iner.dim": Choice(1, 2)}  # noqa: RUF012

    with pytest.raises(BenchError, match=r"unknown key 'iner\.dim'"):
        space_of(Misspelt, row)


def test_a_row_that_no_range_can_hold_is_an_error_of_one_line() -> None:
    class Still(Config):
        learning_rate: float = 0.0

    class Model(Recommender):
        Config = Still

    with pytest.raises(BenchError, match=r"search space of model 'm' does not fit row 'm': .*positive"):
        space_of(Model, run_of("m", Model))


def test_multiples_of_a_row_s_own_number_are_whole_and_hold_it() -> None:
    assert Multiple(0.5, 1, 2).including(20) == Choice(10, 20, 40)
    assert Multiple(0.5).including(1) == Choice(1)
    assert Multiple(3).including(7) == Choice(7, 21)


def test_fixed_keys_are_left_alone() -> None:
    class Two(Config):
        length: int = 5
        dim: int = 3

    class Model(Recommender):
        Config = Two

    row = run_of("m", Model)
    assert set(space_of(Model, row)) == {"length", "dim"}
    assert set(space_of(Model, row, ["length"])) == {"dim"}
    with pytest.raises(NothingToSearchError):
        space_of(Model, row, ["length", "dim"])

    class Around(Config):
        inner: dict[str, object] = {}  # noqa: RUF012
        dim: int = 3

    class Outer(Recommender):
        Config = Around
        search_space = {"inner.dim": Choice(1, 2), "inner.training.rate": Choice(0.1)}  # noqa: RUF012

    around = run_of("m", Outer, {"inner": {"dim": 5, "training": {"rate": 0.2}}})
    assert set(space_of(Outer, around)) == {"dim", "inner.dim", "inner.training.rate"}
    assert set(space_of(Outer, around, ["inner"])) == {"dim"}
    assert set(space_of(Outer, around, ["inner.training"])) == {"dim", "inner.dim"}
    with pytest.raises(BenchError, match="row 'm', 'fixed': unknown key 'lenght': did you mean length"):
        space_of(Model, row, ["lenght"])


def test_every_trial_validates_equally_often_and_waits_equally_long() -> None:
    base = {"training": {"epochs": 9, "validate_every": 7, "patience": 5}, "dim": 3}
    for epochs, every in [(1, 1), (8, 1), (20, 2), (40, 5), (80, 10)]:
        assert with_stopping_rule(base, {"training.epochs": epochs, "dim": 4}) == {
            "training.epochs": epochs,
            "dim": 4,
            "training.validate_every": every,
            "training.patience": PATIENCE,
        }
    assert VALIDATIONS == 8
    assert with_stopping_rule(base, {"dim": 4}) == {"dim": 4}
    without = {"training": {"epochs": 9}}
    assert with_stopping_rule(without, {"training.epochs": 3}) == {"training.epochs": 3}
    inner = {"inner": base}
    assert with_stopping_rule(inner, {"inner.training.epochs": 16})["inner.training.validate_every"] == 2
