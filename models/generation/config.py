"""What all generative models are configured by."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.config import Config, added_field
from models.generation.transformer import Seq2SeqConfig
from models.semantic_ids.tokenizer import TokenizerConfig
from models.training.loop import TrainingConfig


class GenerativeConfig(Config):
    """Configuration shared by the generative models.

    Attributes:
        short_term: Most recent events that the encoder reads.
        normalise: Which codes share the probability of a level: all of the "codebook", as in TIGER and GLASS, or those
            that lead on to a semantic ID of the "catalogue". The latter spares the network from learning which
            these are.
        copying: Whether a level's probability is shared with copying the codes of events that the model reads: the
            short-term ones and those that a search retrieved. Neither TIGER nor GLASS copies; for histories in which
            single items come back.
        gaps: Whether an event also says how long after the one before it came, in classes (ChronoSID: under an hour, a
            day, a week, a month, or longer). For data with times in seconds.
        temperature: In training, scores are divided by it before the softmax (LETTER's ranking-guided loss): below 1,
            what is scored nearly as high as the target weighs more. Generation takes the scores as they are.
        beam: Width of the beam search; never narrower than the list to be recommended.
        tokenizer: How items become semantic IDs.
        network: Size of the encoder-decoder.
        training: Schedule and stopping.
    """

    short_term: int = Field(default=50, ge=1)
    normalise: Literal["codebook", "catalogue"] = "codebook"
    copying: bool = False
    gaps: bool = added_field(False)
    temperature: float = added_field(1.0, gt=0)
    beam: int = Field(default=20, ge=1)
    tokenizer: TokenizerConfig = TokenizerConfig()
    network: Seq2SeqConfig = Seq2SeqConfig()
    training: TrainingConfig = TrainingConfig(
        epochs=16, batch_events=1024, learning_rate=2e-3, validate_every=2, average=0.99
    )
