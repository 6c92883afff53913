import importlib
from pathlib import Path

import pytest

from bench import registry
from bench.errors import BenchError, SkippedRun
from bench.recommender import Recommender


@pytest.mark.parametrize("name", [name for name in registry.BUILT_IN if not name.endswith("-recbole")])
def test_every_built_in_name_leads_to_a_recommender(name: str) -> None:
    assert issubclass(registry.model_class(name), Recommender)


def test_every_model_declares_what_it_is_there_for() -> None:
    """Baselines may be doubted where they do poorly, item kNN, which learns no parameters, included."""
    names = [name for name in registry.BUILT_IN if not name.endswith("-recbole")]
    roles = {name: registry.model_class(name).role for name in names}
    others = {name: role for name, role in roles.items() if role not in ("contestant", "baseline")}
    assert others == {"oracle": "oracle"} | dict.fromkeys(
        ("popularity", "personal-popularity", "gp-topfreq"), "reference"
    )
    assert {name for name, role in roles.items() if role == "contestant"} == {"glass", "glass-plus", "glass-official"}
    assert roles["item-knn"] == "baseline"


def test_old_results_of_todays_baselines_count_as_such() -> None:
    names = {name for name in registry.BUILT_IN if not name.endswith("-recbole")}
    declared = {name for name in names if registry.model_class(name).role == "baseline"}
    assert registry.BASELINES_OF_OLD_RESULTS & names <= declared


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(BenchError, match=r"unknown model 'sasrec': did you mean esasrec or gsasrec or sasrec-ce"):
        registry.model_class("sasrec")


def test_an_entry_point_adds_a_model(outside_models: Path) -> None:
    import outside_models as theirs

    assert "outside" in registry.model_names()
    assert registry.model_class("outside") is theirs.Outside


def test_a_broken_entry_point_is_an_error_only_when_its_model_is_asked_for(outside_models: Path) -> None:
    assert "outside-broken" in registry.model_names()
    registry.model_class("outside")
    with pytest.raises(BenchError, match=r"'outside-broken' of distribution 'outside-models' .*outside_models_nowhere"):
        registry.model_class("outside-broken")


def test_an_entry_point_can_not_take_a_built_in_name(outside_models: Path) -> None:
    outside_models.write_text("[glass_bench.models]\nsasrec-ce = outside_models:Outside\n")
    with pytest.raises(BenchError, match=r"'outside-models' registers a model 'sasrec-ce', which is a built-in name"):
        registry.model_names()


def test_an_entry_point_that_is_no_recommender_is_an_error(outside_models: Path) -> None:
    outside_models.write_text("[glass_bench.models]\nmy-model = outside_models:Schedule\n")
    with pytest.raises(BenchError, match=r"my-model.* is not a subclass of"):
        registry.model_class("my-model")


def test_a_missing_optional_package_skips_and_a_missing_module_of_ours_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(module: str) -> None:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    monkeypatch.setattr(importlib, "import_module", lambda _: fail("recbole.model"))
    with pytest.raises(SkippedRun, match="needs the package 'recbole', which is not installed here"):
        registry.model_class("gru4rec-recbole")
    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(BenchError, match=r"model 'sim' .* can't be imported: ModuleNotFoundError"):
        registry.model_class("sim")
