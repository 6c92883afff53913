"""Recommending by generating semantic IDs, from the network's layers up to ranked items.

Two networks score codes, and everything above them is common to both:

| | causal: every position of a window is a training target | T5: bidirectional, one target an example |
| --- | --- | --- |
| layers | `causal_transformer` | `t5_transformer` (both are made of `transformer`) |
| network: loss, likelihoods, generation | `causal_network` | `t5_network` |
| what it is trained on | `causal_recommender` | `t5_recommender` |

`recommender` leads from a catalogue to ranked items through whichever network it is given, and knows it as the
`SIDGenerator` of `sid_generator`. `beam_search` searches; `retrieved_items` prepares what a search of the history
retrieved for attention; `decoding_trace` and `level_accuracy` note what happens on the way. `config` holds the settings
that all have.
"""
