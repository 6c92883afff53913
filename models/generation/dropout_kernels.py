"""What `fused_dropout` runs on a GPU, in Triton.

Coins are 16-bit parts of Philox's random integers, drawn from `seed` int64 `[1]` and the place of a number, so that the
backward pass tosses the same ones again and nothing is kept of them. One draw gives four integers of 32 bits, and so
coins for eight parts of a program's work: `PARTS` is 8 where something drops, else 1. A number is dropped where its
coin is below `threshold`, of 2^16; `grown` is what remaining numbers are multiplied by. All arithmetic is float32.

Rows are dense, `dim` <= `WIDTH` numbers each; a program has `PARTS` parts of `ROWS` rows. Names with `of_` are
gradients.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _coins(one, two, three, four, PART: tl.constexpr):
    """The coins of one part, of four words drawn for all of them."""
    if PART // 2 == 0:
        word = one
    elif PART // 2 == 1:
        word = two
    elif PART // 2 == 2:
        word = three
    else:
        word = four
    return (word >> (16 * (PART % 2))) & 0xFFFF


@triton.jit
def summed_kernel(
    hidden, update, weight, seed, total, normed, inverse, n_rows, dim, threshold, grown, epsilon,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr,
    ADDS: tl.constexpr, NORMALISES: tl.constexpr, DROPS: tl.constexpr,
):  # fmt: skip
    """`total` = `hidden` + dropped `update`, and `normed` is that normalised by the inverse RMS of its rows."""
    program = tl.program_id(0)
    d, r = tl.arange(0, WIDTH), tl.arange(0, ROWS)
    if DROPS:
        place = (program * ROWS + r)[:, None] * WIDTH + d[None, :]
        one, two, three, four = tl.randint4x(tl.load(seed), place)
    if NORMALISES:
        weights = tl.load(weight + d, d < dim, 0.0).to(tl.float32)
    for part in tl.static_range(PARTS):
        row = (program * PARTS + part) * ROWS + r
        inside = (row < n_rows)[:, None] & (d < dim)[None, :]
        at = row.to(tl.int64)[:, None] * dim + d[None, :]
        states = tl.load(hidden + at, inside, 0.0).to(tl.float32)
        if ADDS:
            added = tl.load(update + at, inside, 0.0).to(tl.float32)
            if DROPS:
                added = tl.where(_coins(one, two, three, four, part) >= threshold, added * grown, 0.0)
            states += added
            tl.store(total + at, states.to(total.dtype.element_ty), inside)
        if NORMALISES:
            scale = 1 / tl.sqrt_rn(tl.sum(states * states, 1) / dim + epsilon)
            tl.store(normed + at, (states * scale[:, None] * weights).to(normed.dtype.element_ty), inside)
            tl.store(inverse + row, scale, row < n_rows)


@triton.jit
def of_summed_kernel(
    total, weight, seed, inverse, of_total, of_normed, of_hidden, of_update, of_weight,
    n_rows, dim, threshold, grown,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr,
    ADDS: tl.constexpr, NORMALISES: tl.constexpr, DROPS: tl.constexpr, OF_TOTAL: tl.constexpr,
):  # fmt: skip
    """Each of the programs takes many pieces of the work, and leaves its part of the weight's gradient."""
    d, r = tl.arange(0, WIDTH), tl.arange(0, ROWS)
    if NORMALISES:
        weights = tl.load(weight + d, d < dim, 0.0).to(tl.float32)
    of_weights = tl.zeros([WIDTH], tl.float32)
    for piece in range(tl.program_id(0), tl.cdiv(n_rows, PARTS * ROWS), tl.num_programs(0)):
        if DROPS:
            place = (piece * ROWS + r)[:, None] * WIDTH + d[None, :]
            one, two, three, four = tl.randint4x(tl.load(seed), place)
        for part in tl.static_range(PARTS):
            row = (piece * PARTS + part) * ROWS + r
            inside = (row < n_rows)[:, None] & (d < dim)[None, :]
            at = row.to(tl.int64)[:, None] * dim + d[None, :]
            of_states = tl.zeros([ROWS, WIDTH], tl.float32)
            if OF_TOTAL:
                of_states += tl.load(of_total + at, inside, 0.0).to(tl.float32)
            if NORMALISES:
                scale = tl.load(inverse + row, row < n_rows, 0.0)
                unit = tl.load(total + at, inside, 0.0).to(tl.float32) * scale[:, None]
                of_each = tl.load(of_normed + at, inside, 0.0).to(tl.float32)
                of_weights += tl.sum(of_each * unit, 0)
                of_unit = of_each * weights
                along = tl.sum(of_unit * unit, 1) / dim
                of_states += (of_unit - unit * along[:, None]) * scale[:, None]
            tl.store(of_hidden + at, of_states.to(of_hidden.dtype.element_ty), inside)
            if ADDS:
                of_added = of_states
                if DROPS:
                    of_added = tl.where(_coins(one, two, three, four, part) >= threshold, of_states * grown, 0.0)
                tl.store(of_update + at, of_added.to(of_update.dtype.element_ty), inside)
    if NORMALISES:
        tl.store(of_weight + tl.program_id(0) * dim + d, of_weights, d < dim)


@triton.jit
def relu_kernel(states, seed, out, size, threshold, grown, BLOCK: tl.constexpr):
    """`out` = dropped ReLU of `states`, eight parts of `BLOCK` numbers a program."""
    program = tl.program_id(0)
    b = tl.arange(0, BLOCK)
    one, two, three, four = tl.randint4x(tl.load(seed), program * BLOCK + b)
    for part in tl.static_range(8):
        at = (program.to(tl.int64) * 8 + part) * BLOCK + b
        state = tl.load(states + at, at < size, 0.0).to(tl.float32)
        remains = (_coins(one, two, three, four, part) >= threshold) & (state > 0)
        tl.store(out + at, tl.where(remains, state * grown, 0.0).to(out.dtype.element_ty), at < size)


@triton.jit
def of_relu_kernel(out, of_out, of_states, size, grown, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    remains = tl.load(out + at, at < size, 0.0) > 0
    gradient = tl.load(of_out + at, at < size, 0.0).to(tl.float32)
    tl.store(of_states + at, tl.where(remains, gradient * grown, 0.0).to(of_states.dtype.element_ty), at < size)
