"""Operators that no graph can say, or that have no translation, and ways round them."""

from __future__ import annotations

RANDOM = "give the random numbers as an argument"
_DROPOUT = "call module.eval() before, which leaves dropout out, or give its mask as an argument"
_BY_NUMBERS = "compute it beforehand: the shape of its result depends on numbers"

WAYS_ROUND: dict[str, str] = {
    "rrelu_with_noise": RANDOM,
    **dict.fromkeys(("dropout", "alpha_dropout", "feature_dropout"), _DROPOUT),
    **dict.fromkeys(("nonzero", "masked_select", "unique_dim", "_unique2", "unique_consecutive"), _BY_NUMBERS),
    **dict.fromkeys(("bincount", "repeat_interleave"), _BY_NUMBERS),
    "geqrf": "use torch.linalg.qr: what lies below R is read by nothing but householder_product",
    **dict.fromkeys(("linalg_ldl_factor_ex", "linalg_ldl_factor", "linalg_ldl_solve"), "use torch.linalg.solve"),
}
"""What to do instead, by operators."""

ELSE = "write it by other operations; a program that is not in core ATen is brought there by run_decompositions()"
