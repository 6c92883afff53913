"""SIM (Pi et al., CIKM 2020, arXiv 2006.05639): search-based interest model, a ranking model over long histories."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from baselines.full_ranking import rank_candidates, rank_catalogue
from baselines.sim.config import SIMConfig, SIMSoftConfig
from baselines.sim.events import Events, Moments
from baselines.sim.network import SIMNetwork
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext, Mechanism, Recommendations, Recommender
from bench.registry import model_class
from bench.search_space import Choice, Multiple, SearchSpace
from models.fidelity import optimiser_line
from models.history.semantic_search import SemanticSearchIndex
from models.semantic_ids.tokenizer import record_health, tokenize
from models.training.loop import fit_network, parameter_count
from models.training.sampled_targets import TargetPool, Targets

ANSWERED_NUMBERS = {"cpu": 1 << 24, "cuda": 1 << 29}
"""Size of the largest array that is made while queries are answered: more users at a time are faster, up to a point."""


TRAINING = "Adam from 0.001 with exponential decay; the general and the exact search unit's losses weigh the same"
"""How SIM is trained (section 5)."""


class SIM(Recommender):
    """Recommends the next item by SIM. Candidates are all items of the catalogue, or the best of a first stage.

    Attributes:
        first_stage: The fitted model that chooses the candidates; None where all items are.
    """

    Config = SIMConfig
    config: SIMConfig
    search_space: ClassVar[SearchSpace] = {
        "limit": Choice(10, 20, 50, 100),
        "short_term": Choice(20, 50, 100),  # read once for each candidate: the search is for what lies before
        "negatives": Choice(64, 128, 256),
        "training.epochs": Multiple(1, 2, 4, 8),  # an epoch visits a share of the targets, others visit all
    }
    revision = 2
    network: SIMNetwork | None = None
    first_stage: Recommender | None = None
    summary = "search-based interest model: hard search (the candidate's category) over the long history, full ranking"
    role = "baseline"
    group = "long sequence"
    paper = "Pi et al., CIKM"
    year = 2020
    fidelity = (
        Mechanism(
            "general search unit, hard: events of the candidate's category",
            "faithful",
            "section 3.2.1",
            f"the {SIMConfig().limit} most recent of them (`limit`), of histories without the last "
            f"{SIMConfig().short_term} events. An option: `prefix` searches by the first codes of semantic IDs (R2LED)",
            test="tests/baselines/sim/test_sim.py::test_hard_search_keeps_long_term_events_of_the_candidates_category_only",
        ),
        Mechanism(
            "general search unit, soft: largest inner products",
            "approximated",
            "section 3.2.1",
            "exact search with the ranking network's own embeddings; the paper trains separate ones on an auxiliary "
            "task and searches approximately",
            test="tests/baselines/sim/test_sim.py::test_soft_search_keeps_the_largest_inner_products",
        ),
        Mechanism(
            "exact search unit: multi-head target attention with time gaps",
            "approximated",
            "section 3.2.2",
            "the gap in events is embedded beside the gap in time, since many events here share a second, each in "
            "buckets of its logarithm (32 and 64; the paper's are not given). Scores are divided by the root of a "
            "head's width and values are projected, which the paper's equations don't do",
            test="tests/baselines/sim/test_sim.py::"
            "test_scores_are_those_of_the_naive_walk_for_shared_and_for_own_candidates",
        ),
        Mechanism(
            "short-term branch (DIN)",
            "approximated",
            "section 3.3",
            "target attention with time gaps in place of DIN's activation network. An option: `decoupled` has "
            "embeddings of their own for what attention and search compare (DARE)",
            test="tests/baselines/sim/test_sim.py::"
            "test_scores_are_those_of_the_naive_walk_for_shared_and_for_own_candidates",
        ),
        Mechanism(
            "click-through loss over impressions",
            "approximated",
            "eq. 9",
            "softmax over the target and uniform negatives, since there are no impressions",
            test="tests/baselines/sim/test_sim.py::test_the_loss_is_a_softmax_over_the_target_and_uniform_negatives",
        ),
        Mechanism(
            "ranking stage behind a retrieval stage",
            "approximated",
            "section 4",
            "every item of the catalogue is a candidate unless `first_stage` names a model; then that model, trained "
            "beforehand, chooses the candidates, and no item that it misses can be found",
            test="tests/baselines/sim/test_sim.py::test_a_first_stage_chooses_what_is_ranked",
        ),
        Mechanism(
            "embeddings and ranking network",
            "approximated",
            "section 5: 4 dimensions, layers of 200, 80 and 2",
            f"{SIMConfig().dim} dimensions of deviation 1/sqrt(d), an item's and its category's added and not side by "
            f"side, no user features; one hidden layer of {SIMConfig().hidden} with PReLU over the candidate, both "
            "readings and their products with it, dropout of its input; a learned popularity of each item, 0 at first, "
            "is added",
            test="tests/baselines/sim/test_sim.py::"
            "test_scores_are_those_of_the_naive_walk_for_shared_and_for_own_candidates",
        ),
        optimiser_line("section 5", TRAINING, SIMConfig().training, f"{SIMConfig().batch_targets} targets"),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        config, device = self.config, context.device
        self.first_stage = self._fitted_first_stage(train, context)
        searched = None
        if config.prefix is not None:
            ids = tokenize(train, config.prefix.tokenizer, context.cache, context.shared_seed)
            record_health(ids, config.prefix.tokenizer, context)
            searched = np.unique(ids.codes[:, : config.prefix.levels], axis=0, return_inverse=True)[1].ravel()
        torch.manual_seed(context.seed)
        self._device = device
        category = np.zeros(train.n_items, dtype=np.int64)
        if train.item_table.category is not None:
            category = train.item_table.category.astype(np.int64) + 1  # 0 holds the items of unknown category
        network = self.network = SIMNetwork(train.n_items, category, config, searched).to(device)
        pool = TargetPool.of(train)
        events = self._events(train.interactions)
        generator = torch.Generator(device=device).manual_seed(context.seed)

        def loss(batch: Targets) -> Tensor:
            positive = events.items[events.offsets[batch.users] + batch.positions].long().unsqueeze(1)
            negatives = torch.randint(train.n_items, (1, config.negatives), generator=generator, device=device)
            memory = network.read(Moments(events, batch.users, batch.ends))
            scores = torch.cat([network.score(memory, positive), network.score(memory, negatives)], dim=1)
            repeated = F.pad(negatives == positive, (1, 0))
            return -scores.masked_fill(repeated, -torch.inf).log_softmax(1)[:, 0].mean()

        def epoch(rng: np.random.Generator) -> list[Targets]:
            return list(pool.draw(config.targets_per_epoch, rng, device).split(config.batch_targets))

        fit_network(self, network, epoch, loss, config.training, context, None, [generator])

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        if self.first_stage is None:
            return rank_catalogue(self._scores(histories, np.arange(histories.n_items)[None]), histories, k)
        candidates = self.first_stage.recommend(histories, self.config.candidates).items
        return rank_candidates(self._scores(histories, candidates.clip(min=0)), candidates, k)

    def _scores(self, histories: Histories, candidates: NDArray[np.integer]) -> NDArray[np.float32]:
        """Computes scores `[n_queries, n]` of candidates int `[n_queries or 1, n]`."""
        network, config = self.network, self.config
        assert network is not None, "recommend before fit"
        scores = np.empty((len(histories), candidates.shape[1]), dtype=np.float32)
        longest = int(histories.lengths.max(initial=1))
        widest = max(5 * config.dim, config.heads * longest if config.search == "soft" else 0)
        step = max(1, ANSWERED_NUMBERS[self._device] // (widest * max(1, candidates.shape[1])))
        with torch.inference_mode():
            events = self._events(histories)
            items = torch.from_numpy(candidates.astype(np.int64)).to(self._device)
            for users in torch.arange(len(histories), device=self._device).split(step):
                moments = Moments(events, users, events.offsets.diff()[users])
                own = items if len(items) == 1 else items[users]
                scores[users.cpu().numpy()] = network(moments, own).cpu().numpy()
        return scores

    def parameter_count(self) -> int:
        first = self.first_stage.parameter_count() if self.first_stage is not None else 0
        return first + parameter_count(self.network)

    def _fitted_first_stage(self, train: TrainingData, context: FitContext) -> Recommender | None:
        name = self.config.first_stage
        if name is None:
            return None
        model = model_class(name)(self.config.first_stage_config)
        own = replace(
            context,
            curve=[],
            diagnostics={},
            report_progress=lambda _, words: context.report_progress(0, f"first stage {name}: {words}"),
        )
        model.fit(train, own)
        context.diagnostics["first_stage"] = {
            "model": name,
            "candidates": self.config.candidates,
            "parameters": model.parameter_count(),
            "validation": max((point.validation for point in own.curve), default=None),
        }
        return model

    def _events(self, source: Interactions | Histories) -> Events:
        """Puts the histories on the device, indexed by category."""
        assert self.network is not None
        arrays = (source.items.astype(np.int64), source.timestamps, source.offsets)
        items, timestamps, offsets = (torch.from_numpy(array).to(self._device) for array in arrays)
        searched = self.network.searched
        index = SemanticSearchIndex(items, offsets, searched, int(searched.max()) + 1)
        return Events(items, timestamps, offsets, index)


class SIMSoft(SIM):
    """Recommends by SIM with soft search: the registered name `sim-soft`."""

    Config = SIMSoftConfig
    revision = 1
    summary = "search-based interest model: soft search (inner products) over the long history, full ranking"
