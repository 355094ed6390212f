"""Operators that no graph can say, or that have no translation, and ways round them."""

from __future__ import annotations

_RANDOM = "give the random numbers as an argument"
_DROPOUT = "call module.eval() before, which leaves dropout out, or give its mask as an argument"
_BY_NUMBERS = "compute it beforehand: the shape of its result depends on numbers"
_SPECTRAL = "write it by real matrices of cosines and sines, or in NumPy by np.fft"

WAYS_ROUND: dict[str, str] = {
    **dict.fromkeys(("rand", "randn", "randint", "randperm", "normal", "uniform", "multinomial"), _RANDOM),
    **dict.fromkeys(("rand_like", "randn_like", "randint_like", "poisson", "exponential", "geometric"), _RANDOM),
    **dict.fromkeys(("cauchy", "log_normal", "normal_functional", "rrelu_with_noise", "_sample_dirichlet"), _RANDOM),
    "_standard_gamma": _RANDOM,
    **dict.fromkeys(("native_dropout", "bernoulli", "dropout", "alpha_dropout", "feature_dropout"), _DROPOUT),
    **dict.fromkeys(("nonzero", "masked_select", "unique_dim", "_unique2", "unique_consecutive"), _BY_NUMBERS),
    **dict.fromkeys(("bincount", "repeat_interleave", "nonzero_static"), _BY_NUMBERS),
    **dict.fromkeys(("as_strided", "as_strided_scatter"), "use views, slices and torch.gather, which say no layout"),
    **dict.fromkeys(("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"), "leave antialias out"),
    "_local_scalar_dense": "leave .item(), float(x) and int(x) out: a tensor without axes is a number",
    **dict.fromkeys(("_fft_r2c", "_fft_c2r", "_fft_c2c", "stft", "istft"), _SPECTRAL),
}
"""What to do instead, by operators."""

ELSE = "write it by other operations; a program that is not in core ATen is brought there by run_decompositions()"
