"""What attention heads ask of the width that they share out among them."""

from __future__ import annotations


def heads_divide(dim: int, heads: int, dim_name: str = "dim", heads_name: str = "heads") -> None:
    """Refuses a width that can't be shared out equally, for validators of configurations.

    Args:
        dim: The width.
        heads: How many heads have a part of it.
        dim_name, heads_name: Their keys.

    Raises:
        ValueError: A head would be wider than another.

    >>> heads_divide(7, 2)
    Traceback (most recent call last):
    ValueError: dim 7 should be a multiple of heads 2
    """
    if dim % heads:
        raise ValueError(f"{dim_name} {dim} should be a multiple of {heads_name} {heads}")
