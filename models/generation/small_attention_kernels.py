"""What `small_attention` runs on a GPU, in Triton: one program for one head of one target.

Keys and values of the program stay in registers while its queries pass one by one. With `BY_ROW` they are looked up, by
`rows` int64 `[n, m]`, in tables that all targets share, whose stride from target to target is 0; their gradients,
float32 then, are added up there in an order that differs from time to time. All arithmetic is float32. Strides are in
numbers of elements: `q_n, q_h, q_t` from one target, head and query to the next, and so on; the last dimension is
dense. `log_total` float32 `[n, heads, q]` is the logarithm of what a query's exponentials add up to, by which
`backward_kernel` makes the attention weights again.

With `DROPS`, `kept` uint8 `[n, heads, q, m]` is 0 where a weight is dropped, and `grown` is what those that remain are
multiplied by. `backward_kernel` has room for fewer keys: with more than one of `TILES`, a program takes `KEYS` of them,
and `grad_query` holds a sum for each tile, `q_tile` elements from one to the next.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def forward_kernel(
    query, key, value, rows, bias, kept, out, log_total, scale, grown, heads,
    q_n, q_h, q_t, k_n, k_h, k_r, v_n, v_h, v_r, b_n, b_h, b_t, o_n, o_h, o_t,
    n_keys, N_QUERIES: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr, HEAD: tl.constexpr,
    BY_ROW: tl.constexpr, DROPS: tl.constexpr,
):  # fmt: skip
    target = (tl.program_id(0) // heads).to(tl.int64)
    head = tl.program_id(0) % heads
    r, d = tl.arange(0, KEYS), tl.arange(0, WIDTH)
    inside = (r < n_keys)[:, None] & (d < HEAD)[None, :]
    row = tl.load(rows + target * n_keys + r, r < n_keys, 0) if BY_ROW else r
    keys = tl.load(key + target * k_n + head * k_h + row[:, None] * k_r + d[None, :], inside, 0.0).to(tl.float32)
    values = tl.load(value + target * v_n + head * v_h + row[:, None] * v_r + d[None, :], inside, 0.0).to(tl.float32)
    for t in tl.static_range(N_QUERIES):
        asked = tl.load(query + target * q_n + head * q_h + t * q_t + d, d < HEAD, 0.0).to(tl.float32)
        biases = tl.load(bias + target * b_n + head * b_h + t * b_t + r, r < n_keys, -float("inf")).to(tl.float32)
        scores = tl.sum(keys * asked[None, :], 1) * scale + biases
        top = tl.max(scores, 0)
        weights = tl.exp(scores - top)
        total = tl.sum(weights, 0)
        if DROPS:
            remains = tl.load(kept + (tl.program_id(0).to(tl.int64) * N_QUERIES + t) * n_keys + r, r < n_keys, 0)
            weights = tl.where(remains != 0, weights * grown, 0.0)
        read = tl.sum(values * weights[:, None], 0) / total
        tl.store(out + target * o_n + head * o_h + t * o_t + d, read.to(out.dtype.element_ty), d < HEAD)
        tl.store(log_total + tl.program_id(0).to(tl.int64) * N_QUERIES + t, top + tl.log(total))


@triton.jit
def backward_kernel(
    query, key, value, rows, bias, kept, out, log_total, grad, grad_query, grad_key, grad_value, grad_bias,
    scale, grown, heads,
    q_n, q_h, q_t, k_n, k_h, k_r, v_n, v_h, v_r, b_n, b_h, b_t, o_n, o_h, o_t, g_n, g_h, g_t, gk_n, gk_h, gk_r,
    q_tile, n_keys, N_QUERIES: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr, HEAD: tl.constexpr,
    BY_ROW: tl.constexpr, DROPS: tl.constexpr, OF_BIAS: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0) % TILES
    program = (tl.program_id(0) // TILES).to(tl.int64)
    target = program // heads
    head = program % heads
    r, d = tile * KEYS + tl.arange(0, KEYS), tl.arange(0, WIDTH)
    inside = (r < n_keys)[:, None] & (d < HEAD)[None, :]
    row = tl.load(rows + target * n_keys + r, r < n_keys, 0) if BY_ROW else r
    keys = tl.load(key + target * k_n + head * k_h + row[:, None] * k_r + d[None, :], inside, 0.0).to(tl.float32)
    values = tl.load(value + target * v_n + head * v_h + row[:, None] * v_r + d[None, :], inside, 0.0).to(tl.float32)
    of_keys = tl.zeros([KEYS, WIDTH], tl.float32)
    of_values = tl.zeros([KEYS, WIDTH], tl.float32)
    for t in tl.static_range(N_QUERIES):
        asked = tl.load(query + target * q_n + head * q_h + t * q_t + d, d < HEAD, 0.0).to(tl.float32)
        biases = tl.load(bias + target * b_n + head * b_h + t * b_t + r, r < n_keys, -float("inf")).to(tl.float32)
        read = tl.load(out + target * o_n + head * o_h + t * o_t + d, d < HEAD, 0.0).to(tl.float32)
        of_read = tl.load(grad + target * g_n + head * g_h + t * g_t + d, d < HEAD, 0.0).to(tl.float32)
        scores = tl.sum(keys * asked[None, :], 1) * scale + biases
        weights = tl.exp(scores - tl.load(log_total + program * N_QUERIES + t))
        of_weights = tl.sum(values * of_read[None, :], 1)
        applied = weights
        if DROPS:
            remains = tl.load(kept + (program * N_QUERIES + t) * n_keys + r, r < n_keys, 0)
            of_weights = tl.where(remains != 0, of_weights * grown, 0.0)
            applied = tl.where(remains != 0, weights * grown, 0.0)
        of_scores = weights * (of_weights - tl.sum(read * of_read, 0))
        of_query = tl.sum(keys * of_scores[:, None], 0) * scale
        of_keys += of_scores[:, None] * asked[None, :] * scale
        of_values += applied[:, None] * of_read[None, :]
        # Gradients of queries lie as what was read does.
        at = tile.to(tl.int64) * q_tile + target * o_n + head * o_h + t * o_t + d
        tl.store(grad_query + at, of_query.to(grad_query.dtype.element_ty), d < HEAD)
        if OF_BIAS:
            tl.store(grad_bias + (program * N_QUERIES + t) * n_keys + r, of_scores, r < n_keys)
    of_row = target * gk_n + head * gk_h + row[:, None] * gk_r + d[None, :]
    if BY_ROW:  # other targets have the same rows
        tl.atomic_add(grad_key + of_row, of_keys, inside, sem="relaxed")
        tl.atomic_add(grad_value + of_row, of_values, inside, sem="relaxed")
    else:
        tl.store(grad_key + of_row, of_keys.to(grad_key.dtype.element_ty), inside)
        tl.store(grad_value + of_row, of_values.to(grad_value.dtype.element_ty), inside)
