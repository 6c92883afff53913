"""What `biased_attention` runs on a GPU, in Triton.

A program takes a tile of queries and loops over tiles of keys, or the other way round, so that scores and weights stay
in its registers; what comes back to memory is as wide as a head. Queries, keys and values are multiplied in the type in
which they come, sums and weights are float32. Strides are in numbers of elements: `q_n, q_h, q_t` from one sequence,
head and query to the next, and so on; the last dimension is dense. A pair is a sequence and a head, `n * heads + h`.

`by_place` float32 `[heads, q, row]` (strides `p_h`, `p_t`, 0 where heads or queries share it) and `kept` uint8
`[n, heads, q, row]` (0 where a weight is dropped) have rows of `row` >= `m` elements, a multiple of 16, which lets a
thread load several at once; beyond `m`, `by_key` hides keys that there are not. `grown` is what remaining weights are
multiplied by. `log_total` float32 `[n, heads, q]` is the logarithm of what a query's exponentials add up to, by which
the backward pass makes the weights again, and `of_total`, of the same shape, the product of what a query read and its
gradient: each row of weights sums to 1, so that the gradient of its scores is left by what the row as a whole is worth.
Other names with `of_` are gradients.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _rows(first, at, stride, n_rows, WIDTH: tl.constexpr, HEAD: tl.constexpr):
    """Rows `at` of a matrix `[n_rows, HEAD]`, as wide as `WIDTH`; 0 where there is nothing."""
    d = tl.arange(0, WIDTH)
    inside = (at < n_rows)[:, None] & (d < HEAD)[None, :]
    return tl.load(first + at[:, None] * stride + d[None, :], inside, 0.0)


@triton.jit
def _store_rows(first, at, stride, n_rows, rows, WIDTH: tl.constexpr, HEAD: tl.constexpr):
    d = tl.arange(0, WIDTH)
    inside = (at < n_rows)[:, None] & (d < HEAD)[None, :]
    tl.store(first + at[:, None] * stride + d[None, :], rows.to(first.dtype.element_ty), inside)


@triton.jit
def forward_kernel(
    query, key, value, by_place, by_key, kept, out, log_total, scale, grown, heads,
    q_n, q_h, q_t, k_n, k_h, k_m, v_n, v_h, v_m, p_h, p_t, b_n, o_n, o_h, o_t, n_queries, n_keys, row,
    WIDTH: tl.constexpr, HEAD: tl.constexpr, DROPS: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    tiles = tl.cdiv(n_queries, QUERIES)
    pair = (tl.program_id(0) // tiles).to(tl.int64)
    n, h = pair // heads, pair % heads
    t = (tl.program_id(0) % tiles) * QUERIES + tl.arange(0, QUERIES)
    asked = _rows(query + n * q_n + h * q_h, t, q_t, n_queries, WIDTH, HEAD)
    top = tl.full([QUERIES], -float("inf"), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    read = tl.zeros([QUERIES, WIDTH], tl.float32)
    for start in range(0, n_keys, KEYS):
        m = start + tl.arange(0, KEYS)
        at = t[:, None] * row + m[None, :]
        inside = (t < n_queries)[:, None] & (m < row)[None, :]
        keys = _rows(key + n * k_n + h * k_h, m, k_m, n_keys, WIDTH, HEAD)
        values = _rows(value + n * v_n + h * v_h, m, v_m, n_keys, WIDTH, HEAD)
        place = tl.load(by_place + h * p_h + t[:, None] * p_t + m[None, :], inside, -float("inf"))
        hidden = tl.load(by_key + n * b_n + m, m < n_keys, -float("inf")).to(tl.float32)
        scores = tl.dot(asked, tl.trans(keys), input_precision=PRECISION) * scale + place + hidden[None, :]
        new_top = tl.maximum(top, tl.max(scores, 1))
        base = tl.where(new_top == -float("inf"), 0.0, new_top)  # as long as a query has seen hidden keys alone
        weights = tl.exp(scores - base[:, None])
        shrunk = tl.exp(top - base)
        total = total * shrunk + tl.sum(weights, 1)
        if DROPS:
            remains = tl.load(kept + pair * n_queries * row + at, inside, 0)
            weights = tl.where(remains != 0, weights, 0.0)
        read = read * shrunk[:, None] + tl.dot(weights.to(values.dtype), values, input_precision=PRECISION)
        top = new_top
    read = read * (grown / total)[:, None]
    _store_rows(out + n * o_n + h * o_h, t, o_t, n_queries, read, WIDTH, HEAD)
    tl.store(log_total + pair * n_queries + t, top + tl.log(total), t < n_queries)


@triton.jit
def of_query_kernel(
    query, key, value, by_place, by_key, kept, out, grad, log_total, of_total, of_query, scale, grown, heads,
    q_n, q_h, q_t, k_n, k_h, k_m, v_n, v_h, v_m, p_h, p_t, b_n, o_n, o_h, o_t, g_n, g_h, g_t, oq_n, oq_h, oq_t,
    n_queries, n_keys, row,
    WIDTH: tl.constexpr, HEAD: tl.constexpr, DROPS: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Writes `of_total`, too, which the other two kernels of the backward pass read after it."""
    tiles = tl.cdiv(n_queries, QUERIES)
    pair = (tl.program_id(0) // tiles).to(tl.int64)
    n, h = pair // heads, pair % heads
    t = (tl.program_id(0) % tiles) * QUERIES + tl.arange(0, QUERIES)
    asked = _rows(query + n * q_n + h * q_h, t, q_t, n_queries, WIDTH, HEAD)
    of_read = _rows(grad + n * g_n + h * g_h, t, g_t, n_queries, WIDTH, HEAD)
    read = _rows(out + n * o_n + h * o_h, t, o_t, n_queries, WIDTH, HEAD)
    worth = tl.sum(read.to(tl.float32) * of_read.to(tl.float32), 1)
    tl.store(of_total + pair * n_queries + t, worth, t < n_queries)
    total = tl.load(log_total + pair * n_queries + t, t < n_queries, 0.0)
    of_asked = tl.zeros([QUERIES, WIDTH], tl.float32)
    for start in range(0, n_keys, KEYS):
        m = start + tl.arange(0, KEYS)
        at = t[:, None] * row + m[None, :]
        inside = (t < n_queries)[:, None] & (m < row)[None, :]
        keys = _rows(key + n * k_n + h * k_h, m, k_m, n_keys, WIDTH, HEAD)
        values = _rows(value + n * v_n + h * v_h, m, v_m, n_keys, WIDTH, HEAD)
        place = tl.load(by_place + h * p_h + t[:, None] * p_t + m[None, :], inside, -float("inf"))
        hidden = tl.load(by_key + n * b_n + m, m < n_keys, -float("inf")).to(tl.float32)
        scores = tl.dot(asked, tl.trans(keys), input_precision=PRECISION) * scale + place + hidden[None, :]
        weights = tl.exp(scores - total[:, None])
        of_weights = tl.dot(of_read, tl.trans(values), input_precision=PRECISION) * grown
        if DROPS:
            remains = tl.load(kept + pair * n_queries * row + at, inside, 0)
            of_weights = tl.where(remains != 0, of_weights, 0.0)
        of_scores = weights * (of_weights - worth[:, None])
        of_asked += tl.dot(of_scores.to(keys.dtype), keys, input_precision=PRECISION)
    _store_rows(of_query + n * oq_n + h * oq_h, t, oq_t, n_queries, of_asked * scale, WIDTH, HEAD)


@triton.jit
def of_key_kernel(
    query, key, value, by_place, by_key, kept, grad, log_total, of_total, of_key, of_value, scale, grown, heads,
    q_n, q_h, q_t, k_n, k_h, k_m, v_n, v_h, v_m, p_h, p_t, b_n, g_n, g_h, g_t, ok_n, ok_h, ok_m, n_queries, n_keys, row,
    WIDTH: tl.constexpr, HEAD: tl.constexpr, DROPS: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Of keys and values, which lie alike. Scores are `[keys, queries]` here, as their products take them."""
    tiles = tl.cdiv(n_keys, KEYS)
    pair = (tl.program_id(0) // tiles).to(tl.int64)
    n, h = pair // heads, pair % heads
    m = (tl.program_id(0) % tiles) * KEYS + tl.arange(0, KEYS)
    keys = _rows(key + n * k_n + h * k_h, m, k_m, n_keys, WIDTH, HEAD)
    values = _rows(value + n * v_n + h * v_h, m, v_m, n_keys, WIDTH, HEAD)
    hidden = tl.load(by_key + n * b_n + m, m < n_keys, -float("inf")).to(tl.float32)
    of_keys = tl.zeros([KEYS, WIDTH], tl.float32)
    of_values = tl.zeros([KEYS, WIDTH], tl.float32)
    for start in range(0, n_queries, QUERIES):
        t = start + tl.arange(0, QUERIES)
        at = t[None, :] * row + m[:, None]
        inside = (t < n_queries)[None, :] & (m < row)[:, None]
        asked = _rows(query + n * q_n + h * q_h, t, q_t, n_queries, WIDTH, HEAD)
        of_read = _rows(grad + n * g_n + h * g_h, t, g_t, n_queries, WIDTH, HEAD)
        total = tl.load(log_total + pair * n_queries + t, t < n_queries, 0.0)
        worth = tl.load(of_total + pair * n_queries + t, t < n_queries, 0.0)
        place = tl.load(by_place + h * p_h + t[None, :] * p_t + m[:, None], inside, -float("inf"))
        scores = tl.dot(keys, tl.trans(asked), input_precision=PRECISION) * scale + place + hidden[:, None]
        weights = tl.exp(scores - total[None, :])
        of_weights = tl.dot(values, tl.trans(of_read), input_precision=PRECISION) * grown
        applied = weights * grown
        if DROPS:
            remains = tl.load(kept + pair * n_queries * row + at, inside, 0)
            of_weights = tl.where(remains != 0, of_weights, 0.0)
            applied = tl.where(remains != 0, applied, 0.0)
        of_scores = weights * (of_weights - worth[None, :])
        of_values += tl.dot(applied.to(of_read.dtype), of_read, input_precision=PRECISION)
        of_keys += tl.dot(of_scores.to(asked.dtype), asked, input_precision=PRECISION)
    _store_rows(of_key + n * ok_n + h * ok_h, m, ok_m, n_keys, of_keys * scale, WIDTH, HEAD)
    _store_rows(of_value + n * ok_n + h * ok_h, m, ok_m, n_keys, of_values, WIDTH, HEAD)


@triton.jit
def of_place_kernel(
    query, key, value, by_place, by_key, kept, grad, log_total, of_total, of_place, scale, grown, heads,
    q_n, q_h, q_t, k_n, k_h, k_m, v_n, v_h, v_m, p_h, p_t, b_n, g_n, g_h, g_t, n_queries, n_keys, row, batch, share,
    WIDTH: tl.constexpr, HEAD: tl.constexpr, DROPS: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Into `of_place` float32 `[parts, heads, q, row]`, each program over `share` sequences, one after the other.

    Nothing is added up by atomics: the sum is the same whenever it is made.
    """
    tiles_of_keys = tl.cdiv(n_keys, KEYS)
    tile = tl.program_id(0) % (tiles_of_keys * tl.cdiv(n_queries, QUERIES))
    part_and_head = tl.program_id(0) // (tiles_of_keys * tl.cdiv(n_queries, QUERIES))
    part, h = part_and_head // heads, (part_and_head % heads).to(tl.int64)
    t = (tile // tiles_of_keys) * QUERIES + tl.arange(0, QUERIES)
    m = (tile % tiles_of_keys) * KEYS + tl.arange(0, KEYS)
    at = t[:, None] * row + m[None, :]
    inside = (t < n_queries)[:, None] & (m < row)[None, :]
    place = tl.load(by_place + h * p_h + t[:, None] * p_t + m[None, :], inside, -float("inf"))
    added = tl.zeros([QUERIES, KEYS], tl.float32)
    first = (part * share).to(tl.int64)
    for following in range(0, tl.minimum(share, batch - part * share)):
        n = first + following
        pair = n * heads + h
        asked = _rows(query + n * q_n + h * q_h, t, q_t, n_queries, WIDTH, HEAD)
        keys = _rows(key + n * k_n + h * k_h, m, k_m, n_keys, WIDTH, HEAD)
        values = _rows(value + n * v_n + h * v_h, m, v_m, n_keys, WIDTH, HEAD)
        of_read = _rows(grad + n * g_n + h * g_h, t, g_t, n_queries, WIDTH, HEAD)
        hidden = tl.load(by_key + n * b_n + m, m < n_keys, -float("inf")).to(tl.float32)
        total = tl.load(log_total + pair * n_queries + t, t < n_queries, 0.0)
        worth = tl.load(of_total + pair * n_queries + t, t < n_queries, 0.0)
        scores = tl.dot(asked, tl.trans(keys), input_precision=PRECISION) * scale + place + hidden[None, :]
        weights = tl.exp(scores - total[:, None])
        of_weights = tl.dot(of_read, tl.trans(values), input_precision=PRECISION) * grown
        if DROPS:
            remains = tl.load(kept + pair * n_queries * row + at, inside, 0)
            of_weights = tl.where(remains != 0, of_weights, 0.0)
        added += weights * (of_weights - worth[:, None])
    tl.store(of_place + part_and_head.to(tl.int64) * n_queries * row + at, added, inside)
