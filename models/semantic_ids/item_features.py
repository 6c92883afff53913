"""Item features, the raw material of semantic IDs: what an item is called, with what it is used, shipped vectors."""

from __future__ import annotations

import logging
import re
import string
from typing import Literal, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from bench.config import Config, added_field
from bench.data.cache import ArtifactCache, content_key
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions
from bench.errors import BenchError, message_of, unknown_name
from models.semantic_ids.famae import FamaeConfig, famae, famae_source

FEATURES_VERSION = 1
"""Raise it whenever a change of code changes features; it is part of the key of every cached artifact."""

CHUNK_ITEMS = 1 << 16
"""Items of which temporary arrays are made at a time, so that a catalogue of millions needs no second copy."""

_Float = TypeVar("_Float", np.float32, np.float64)

_log = logging.getLogger(__name__)


class FeatureConfig(Config):
    """How item features are made.

    Attributes:
        text_dims: Largest width of the text part; 0 leaves it out.
        collaborative_dims: Largest width of the collaborative part; 0 leaves it out.
        text_encoder: "tf-idf" needs nothing else; "sentence-transformers" needs the extra `text` and, the first
            time, a network.
        sentence_transformer: Name or folder of the model for "sentence-transformers".
        text_template: A format string over the columns of the item table, e.g. "{title} ({year}), {genres}".
            None: the data set's text columns in their order, with blanks between them.
        window: Two items co-occur when at most this many events lie between them, counting the second.
        smoothing: Exponent of the context distribution in PPMI.
        shift: Pairs must co-occur more than this many times as often as chance would have it.
        embedding_dims: Largest width of the part made of vectors that ship with the data, where any do; wider ones
            are reduced to it. 0 leaves it out.
        text_weight, collaborative_weight, embedding_weight: Length of each part's unit rows after weighting.
        famae: Makes vectors by FAMAE, in the place of all parts above; `{}` has its defaults. None: the parts above.
    """

    text_dims: int = Field(default=64, ge=0)
    collaborative_dims: int = Field(default=64, ge=0)
    embedding_dims: int = Field(default=128, ge=0)
    text_encoder: Literal["tf-idf", "sentence-transformers"] = "tf-idf"
    sentence_transformer: str = "sentence-transformers/all-MiniLM-L6-v2"
    text_template: str | None = None
    window: int = Field(default=20, ge=1)
    smoothing: float = Field(default=0.75, gt=0, le=1)
    shift: float = Field(default=1.0, gt=0)
    text_weight: float = Field(default=1.0, gt=0)
    collaborative_weight: float = Field(default=1.0, gt=0)
    embedding_weight: float = Field(default=1.0, gt=0)
    famae: FamaeConfig | None = added_field(None)


def item_features(train: TrainingData, config: FeatureConfig, cache: ArtifactCache) -> NDArray[np.float32]:
    """One row of features per item: text, collaborative part and shipped vectors side by side, each of unit length.

    With `famae` they are its vectors alone.

    An item without events in training has zeros in the collaborative part, so that its text alone decides; an item
    without text has zeros in the text part, and one without a shipped vector in that part. Each part is as wide as its
    `dims`, or as the data allow where that is less. Features depend on `train` and `config` only, not on a seed, a
    device or a number of threads.

    Returns:
        float32 `[n_items, text width + collaborative width + embedding width]`.

    Raises:
        BenchError: Nothing is left to make features of, the template is wrong, or an optional package is missing.
    """
    if (learned := config.famae) is not None:
        source = {"config": learned.model_dump(mode="json"), "data": famae_source(train, learned)}
        return cache.get("famae_features", source, lambda: {"features": famae(train, learned)})["features"]
    shipped = config.embedding_dims and train.item_table.embeddings is not None
    if config.text_dims == 0 and config.collaborative_dims == 0:
        if not shipped:
            raise BenchError(
                "item features: text_dims and collaborative_dims are both 0, and the data ship no vectors that are "
                "used; make at least one positive"
            )
        return _make_features(train, config)  # as fast as reading them, and they may be gigabytes

    key = {
        "version": FEATURES_VERSION,
        "config": config.model_dump(mode="json"),
        "data": features_source(train, config),
    }
    features = cache.get("item_features", key, lambda: {"features": _make_features(train, config)})["features"]
    if features.shape[1] == 0:
        raise BenchError(
            "item features: the items have no text and no item co-occurs with another in training, or the part that "
            "could tell items apart is switched off; set text_dims or collaborative_dims, or add text"
        )
    return features


def features_source(train: TrainingData, config: FeatureConfig) -> str:
    """A hash of what features are really made from: part of the key of whatever is cached that depends on them.

    `TrainingData.content_hash` tells what the data set was when it was read. Whoever changes a copy of the training
    data gets features, and semantic IDs, of their own.
    """
    if config.famae is not None:
        return famae_source(train, config.famae)
    texts = item_texts(train.item_table, config.text_template) if config.text_dims else []
    events = train.interactions
    embeddings = train.item_table.embeddings if config.embedding_dims else None
    return content_key(
        [train.n_items, len(train.item_table.columns), texts],
        *((events.items, events.offsets) if config.collaborative_dims else ()),
        *(() if embeddings is None else (embeddings,)),
    )


def _make_features(train: TrainingData, config: FeatureConfig) -> NDArray[np.float32]:
    text = config.text_weight * text_features(train.item_table, config)
    collaborative = config.collaborative_weight * collaborative_features(train.interactions, config)
    embeddings = train.item_table.embeddings
    if embeddings is None or config.embedding_dims == 0:
        return np.hstack([text, collaborative]).astype(np.float32)
    start = text.shape[1] + collaborative.shape[1]
    width = min(embeddings.shape[1], config.embedding_dims)
    features = np.empty((train.n_items, start + width), dtype=np.float32)
    features[:, :start] = np.hstack([text, collaborative])
    _write_embedding_features(embeddings, config.embedding_weight, features[:, start:])
    return features


def embedding_values(embeddings: NDArray[np.float32] | NDArray[np.int8]) -> NDArray[np.float32]:
    """Shipped vectors as float32; of quantised ones the value is int8 / 127, whatever their largest entry."""
    values = np.asarray(embeddings, dtype=np.float32)
    return values / np.float32(127) if embeddings.dtype == np.int8 else values


def _write_embedding_features(
    embeddings: NDArray[np.float32] | NDArray[np.int8], weight: float, features: NDArray[np.float32]
) -> None:
    """Writes the embedding part, rows of length `weight` or zeros, into float32 `[n_items, width]`, chunk by chunk.

    Vectors wider than that are projected onto the leading right singular vectors of all unit vectors, which come from
    their matrix of second moments.
    """
    # The order of sums in BLAS depends on its number of threads, and with it the last bits of the result.
    with threadpool_limits(limits=1, user_api="blas"):
        narrower = features.shape[1] < embeddings.shape[1]
        directions = _leading_directions(embeddings, features.shape[1]) if narrower else None
        for chunk in _item_chunks(len(embeddings)):
            unit = _unit_rows(embedding_values(embeddings[chunk]))
            features[chunk] = weight * (unit if directions is None else _unit_rows(unit @ directions))


def _leading_directions(embeddings: NDArray[np.float32] | NDArray[np.int8], n: int) -> NDArray[np.float32]:
    """float32 `[dims, n]`; the entry of largest magnitude in each column is positive."""
    moments = np.zeros((embeddings.shape[1], embeddings.shape[1]))
    for chunk in _item_chunks(len(embeddings)):
        unit = _unit_rows(embedding_values(embeddings[chunk]).astype(np.float64))
        moments += unit.T @ unit
    leading = np.linalg.eigh(moments)[1][:, ::-1][:, :n]
    signs = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(n)])
    return (leading * signs).astype(np.float32)


def _item_chunks(n_items: int) -> list[slice]:
    return [slice(start, start + CHUNK_ITEMS) for start in range(0, n_items, CHUNK_ITEMS)]


def text_features(items: ItemTable, config: FeatureConfig) -> NDArray[np.float64]:
    """float64 `[n_items, <= text_dims]`, unit rows: the template's text, encoded and reduced by truncated SVD."""
    texts = item_texts(items, config.text_template) if config.text_dims else []
    if not any(re.search(r"\w", text) for text in texts):
        return np.zeros((len(items.columns), 0))
    if config.text_encoder == "sentence-transformers":
        encoded = _sentence_embeddings(texts, config.sentence_transformer)
        # SVD also where the encoder is narrow enough, so that the two encoders differ in nothing but the encoding.
        return _unit_rows(_truncated_svd(encoded, config.text_dims, power=1.0))
    # A word may hold a hyphen or an apostrophe ("Sci-Fi", "Children's") and may be a single letter ("M").
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w[\w'-]*")
    return _unit_rows(_truncated_svd(vectorizer.fit_transform(texts), config.text_dims, power=1.0))


def item_texts(items: ItemTable, template: str | None) -> list[str]:
    """The text of each item.

    Args:
        items: The item table.
        template: See `FeatureConfig.text_template`.

    Raises:
        BenchError: The template is no format string, or names a column that isn't there.
    """
    if template is None:
        template = " ".join(f"{{{column}}}" for column in items.text_columns)
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        for field in fields:
            if field not in items.columns:
                raise unknown_name("column in text_template", field, map(str, items.columns))
        rows = items.columns[fields].to_dict("records") if fields else [{}] * len(items.columns)
        return [template.format(**row).strip() for row in rows]
    except ValueError as error:
        raise BenchError(f"text_template '{template}': {error}; write columns as in '{{title}} ({{year}})'") from None


def collaborative_features(interactions: Interactions, config: FeatureConfig) -> NDArray[np.float64]:
    """float64 `[n_items, <= collaborative_dims]`, unit rows: truncated SVD of PPMI, `U * sqrt(S)`.

    Source: O. Levy, Y. Goldberg and I. Dagan, "Improving Distributional Similarity with Lessons Learned from Word
    Embeddings", TACL 2015: context-distribution smoothing and shift (3.1), eigenvalue weighting 0.5 (3.3).
    """
    if config.collaborative_dims == 0:
        return np.zeros((interactions.n_items, 0))
    ppmi = positive_pmi(cooccurrences(interactions, config.window), config.smoothing, config.shift)
    return _unit_rows(_truncated_svd(ppmi, config.collaborative_dims, power=0.5))


def cooccurrences(interactions: Interactions, window: int) -> sp.csr_matrix:
    """How often two items lie within `window` events of each other in one user's sequence.

    Returns:
        float64 `[n_items, n_items]`, symmetric; the diagonal is empty, since a repeat says nothing about other items.
    """
    n_items = interactions.n_items
    items = interactions.items
    user = np.repeat(np.arange(interactions.n_users), interactions.lengths)
    counts = sp.csr_matrix((n_items, n_items), dtype=np.float64)
    for distance in range(1, window + 1):
        left, right = items[:-distance], items[distance:]
        pairs = (user[:-distance] == user[distance:]) & (left != right)
        ones = np.ones(int(pairs.sum()))
        counts += sp.coo_matrix((ones, (left[pairs], right[pairs])), shape=counts.shape).tocsr()
    return (counts + counts.T).tocsr()


def positive_pmi(counts: sp.csr_matrix, smoothing: float, shift: float) -> sp.csr_matrix:
    """Positive pointwise mutual information, `max(0, log(p(i, j) / (p(i) * p_smoothed(j))) - log(shift))`.

    Args:
        counts: `[n, n]`, symmetric co-occurrence counts.
        smoothing: Exponent of the context counts; below 1 it keeps rare contexts from dominating.
        shift: 1 gives plain PPMI.
    """
    marginal = np.asarray(counts.sum(axis=1)).ravel()
    context = marginal**smoothing
    pairs = counts.tocoo()
    ratio = pairs.data * context.sum() / (marginal[pairs.row] * context[pairs.col])
    information = np.maximum(np.log(ratio / shift), 0.0)
    result = sp.csr_matrix((information, (pairs.row, pairs.col)), shape=counts.shape)
    result.eliminate_zeros()
    return result


def _truncated_svd(matrix: sp.csr_matrix | NDArray[np.floating], dims: int, power: float) -> NDArray[np.float64]:
    """The leading left singular vectors times their singular values to a power, `[n, <= dims]`.

    Only directions that the matrix has are kept. The entry of largest magnitude in each column is positive, which fixes
    the signs whatever the library does.
    """
    magnitude = abs(matrix).sum()
    dims = min(dims, *matrix.shape)
    if dims == 0 or magnitude == 0:
        return np.zeros((matrix.shape[0], 0))
    # The order of sums in BLAS depends on its number of threads, and with it the last bits of the result.
    with threadpool_limits(limits=1, user_api="blas"):
        left, strengths, _ = randomized_svd(matrix, n_components=dims, n_iter=7, random_state=0, flip_sign=False)
    real = strengths > 1e-6 * strengths[0]
    left, strengths = left[:, real], strengths[real]
    signs = np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])])
    return left * (signs * strengths**power)


def _unit_rows(rows: NDArray[_Float]) -> NDArray[_Float]:
    """Scales rows to unit length. What is zero up to rounding becomes zero, not noise of unit length."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    nonzero = lengths > 1e-6 * lengths.max(initial=0.0)
    return np.where(nonzero, rows / np.where(nonzero, lengths, 1.0), 0.0)


def _sentence_embeddings(texts: list[str], model_name: str) -> NDArray[np.float64]:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise BenchError(
            "text_encoder 'sentence-transformers' needs an optional package: pip install 'glass-bench[text]'"
        ) from None
    try:
        model = SentenceTransformer(model_name, device="cpu")
    except (OSError, ValueError) as error:
        raise BenchError(f"sentence_transformer '{model_name}' can't be loaded: {message_of(error)}") from None
    return np.asarray(model.encode(texts, normalize_embeddings=True, show_progress_bar=False), dtype=np.float64)
