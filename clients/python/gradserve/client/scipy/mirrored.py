"""Names of SciPy, and what of the mirror stands there while a function is traced."""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any

from gradserve.client.scipy.curves import curves
from gradserve.client.scipy.factors import Factors
from gradserve.client.scipy.kinds import Kind, aware, calling, standing_kind
from gradserve.client.scipy.mirror import member
from gradserve.client.scipy.operators import operators
from gradserve.client.scipy.pairs import pairs
from gradserve.client.scipy.solvers.given import standing
from gradserve.client.scipy.solvers.table import SOLVERS
from gradserve.client.scipy.sparse.factored import Factored
from gradserve.client.scipy.sparse.growing import Growing
from gradserve.client.scipy.sparse.making import CLASSES, FUNCTIONS
from gradserve.client.scipy.sparse.matrices import Sparse
from gradserve.client.scipy.spatial.transform import Rotation
from gradserve.client.tracing.buffers import are_taken
from gradserve.client.tracing.names import Place, first_tracer
from gradserve.numpy.scipy.sparse import is_sparse
from gradserve.numpy.table import SCIPY

_LAWS = {
    "rv_continuous": ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf"),
    "rv_discrete": ("pmf", "logpmf", "cdf", "logcdf", "sf", "logsf"),
}
"""Classes of distributions, and methods that look for their own by the name of the distribution."""
_FROZEN: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {
    "dirichlet": (([1.0, 1.0],), ("alpha",)),
    "dirichlet_multinomial": (([1.0, 1.0], 1), ("alpha", "n")),
    "invwishart": ((1, 1.0), ("df", "scale")),
    "matrix_normal": ((), ("mean", "rowcov", "colcov")),
    "multinomial": ((1, [0.5, 0.5]), ("n", "p")),
    "multivariate_normal": ((), ("mean", "cov", "allow_singular")),
    "multivariate_t": ((), ("loc", "shape", "df")),
    "vonmises_fisher": (([1.0, 0.0], 1.0), ("mu", "kappa")),
    "wishart": ((1, 1.0), ("df", "scale")),
}
"""Distributions of several numbers: parameters that one may have, and where a frozen one keeps its own."""


def places() -> tuple[Place, ...]:
    """What leads to the mirror in those modules of SciPy that are imported by now."""
    named = (full.rpartition(".")[0] for full in (*SCIPY, *SOLVERS))
    modules = {*named, "scipy.sparse", "scipy.spatial.transform"}
    return _places_in(frozenset(module for module in modules if _is_complete(module)))


def _is_complete(module: str) -> bool:
    """Whether a module is imported, to its end."""
    found = sys.modules.get(module)
    return found is not None and not getattr(found.__spec__, "_initializing", False)


@functools.lru_cache(maxsize=32)
def _places_in(modules: frozenset[str]) -> tuple[Place, ...]:
    """What leads to the mirror in modules that are imported."""
    found: list[Place] = []
    for full in SCIPY:
        module, _, name = full.rpartition(".")
        if module in modules and callable(own := getattr(sys.modules[module], name, None)):
            found.append((sys.modules[module], name, aware(own, member(full))))
    for full, ours in SOLVERS.items():
        module, _, name = full.rpartition(".")
        if module in modules:
            found.append((sys.modules[module], name, standing(getattr(sys.modules[module], name), ours)))
    if "scipy.stats" in sys.modules:
        found += [*_laws(sys.modules["scipy.stats"]), *_kernels(sys.modules["scipy.stats"])]
    if "scipy.sparse" in modules:
        found += _sparse(sys.modules["scipy.sparse"])
    if "scipy.sparse.linalg" in sys.modules:
        found += [(sys.modules["scipy.sparse.linalg"], name, _factors(name)) for name in ("splu", "factorized")]
        found += operators(sys.modules["scipy.sparse.linalg"])
    if "scipy.spatial.distance" in modules:
        found += pairs(sys.modules["scipy.spatial.distance"])
    if "scipy.spatial.transform" in modules:
        found += _rotations(sys.modules["scipy.spatial.transform"])
    if "scipy.interpolate" in sys.modules:
        found += curves(sys.modules["scipy.interpolate"])
    return tuple(found)


def _laws(stats: Any) -> Iterator[Place]:
    for kind, methods in _LAWS.items():
        for method in methods:
            yield getattr(stats, kind), method, _method(getattr(getattr(stats, kind), method))
    for full in SCIPY:
        module, _, method = full.rpartition(".")
        law = getattr(stats, module.rpartition(".")[2], None)
        if module.startswith("scipy.stats.") and not isinstance(law, type) and method in vars(type(law)):
            yield type(law), method, _method(getattr(type(law), method), module)
            if "__call__" in vars(type(law)):
                yield type(law), "__call__", _freezing(type(law).__call__, type(law))
    for name, (example, parts) in _FROZEN.items():
        frozen = type(getattr(stats, name)(*example))
        for method in ("pdf", "logpdf", "pmf", "logpmf"):
            ours = member(f"scipy.stats.{name}.{method}") if method in vars(frozen) else None
            if ours is not None:
                yield frozen, method, _of_frozen(getattr(frozen, method), ours, operator.attrgetter(*parts))


def _kernels(stats: Any) -> Iterator[Place]:
    kind, full = stats.gaussian_kde, "scipy.stats.gaussian_kde"

    def made_of(known: Any) -> dict[str, Any]:
        return {"dataset": known.dataset, "bw_method": known.factor, "weights": known.weights}

    for method in ("__call__", "evaluate", "logpdf", "pdf"):
        ours = member(f"{full}.{method}")
        yield kind, method, calling(vars(kind)[method], ours, kind, made_of)
    yield stats, "gaussian_kde", standing_kind(kind, member(full))


def _method(own: Callable[..., Any], law: str | None = None) -> Callable[..., Any]:
    """A method that looks for that of the mirror by the name of its distribution."""

    @functools.wraps(own)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        ours = None
        if first_tracer((args, named)) is not None and (law or _is_scipys(self)):
            ours = member(f"{law or f'scipy.stats.{self.name}'}.{own.__name__}")
        return own(self, *args, **named) if ours is None else ours(*args, **named)

    return call


def _of_frozen(own: Callable[..., Any], ours: Callable[..., Any], parts: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def call(self: Any, x: Any) -> Any:
        if first_tracer(x) is None:
            return own(self, x)
        known = parts(self)
        return ours(x, *(known if isinstance(known, tuple) else (known,)))

    return call


def _freezing(own: Callable[..., Any], kind: type) -> Callable[..., Any]:
    """What fixes the parameters of a distribution of several numbers."""

    @functools.wraps(own)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        law = next((name for name, known in vars(sys.modules["scipy.stats"]).items() if known is self), None)
        if first_tracer((args, named)) is None or law is None or type(self) is not kind:
            return own(self, *args, **named)
        return member(f"scipy.stats.{law}")(*args, **named)

    return call


def _is_scipys(law: Any) -> bool:
    """Whether it is the distribution that SciPy has under its name, on the same support: anybody may make others."""
    known: Any = getattr(sys.modules["scipy.stats"], str(law.name), None)
    return type(known) is type(law) and (known.a, known.b) == (law.a, law.b)


def _factors(name: str) -> Callable[..., Any]:
    """What makes factors of sparse matrices that are solved with for traced arrays as well."""
    own = getattr(sys.modules["scipy.sparse.linalg"], name)

    @functools.wraps(own)
    def call(*args: Any, **named: Any) -> Any:
        if first_tracer((args, named)) is not None:
            factored = Factored(*args[:1], **named)
            return factored if name == "splu" else factored.solve
        return Factors(own(*args, **named))

    return call


def _sparse(sparse: Any) -> Iterator[Place]:
    for name, ours in CLASSES.items():
        kind = getattr(sparse, name, None)
        if kind is not None:
            yield sparse, name, standing_kind(kind, ours)
    for name in ("lil_matrix", "lil_array", "dok_matrix", "dok_array"):
        yield sparse, name, _GrowingKind(name, (), {"own": getattr(sparse, name), "ours": (None,)})
    for name, ours in FUNCTIONS.items():
        if hasattr(sparse, name):
            yield sparse, name, aware(getattr(sparse, name), ours)
    kinds = [getattr(sparse, name) for name in CLASSES if hasattr(sparse, name)]
    for owner in dict.fromkeys(owner for kind in kinds for owner in kind.__mro__ if "multiply" in vars(owner)):
        yield owner, "multiply", _multiply(owner.multiply)
    for owner in dict.fromkeys(owner for kind in kinds for owner in kind.__mro__ if "dot" in vars(owner)):
        yield owner, "dot", _dot(owner.dot)


def _dot(own: Callable[..., Any]) -> Callable[..., Any]:
    """The product of a captured matrix with traced numbers."""

    @functools.wraps(own)
    def call(self: Any, other: Any) -> Any:
        return own(self, other) if first_tracer(other) is None else Sparse.of(self) @ other

    return call


def _multiply(own: Callable[..., Any]) -> Callable[..., Any]:
    """The product of a captured matrix, element by element."""

    @functools.wraps(own)
    def call(self: Any, other: Any) -> Any:
        return own(self, other) if first_tracer(other) is None else Sparse.of(self).multiply(other)

    return call


class _GrowingKind(Kind):
    """Stands for a class of matrices that are made by assignments, of traced numbers where those were refused."""

    def __call__(cls, arg1: Any, *args: Any, **named: Any) -> Any:
        if first_tracer(arg1) is not None or (are_taken() and (isinstance(arg1, tuple) or is_sparse(arg1))):
            format, _, kind = cls.own.__name__.removeprefix("_").partition("_")
            return Growing(arg1, kind == "matrix", format)
        return cls.own(arg1, *args, **named)


class _RotationKind(Kind):
    """Stands for the class of rotations: those of traced values are the mirror's."""

    def __getattr__(cls, name: str) -> Any:
        own, ours = getattr(cls.own, name), getattr(Rotation, name, None)
        return aware(own, ours) if name.startswith("from_") and ours is not None else own


def _rotations(transform: Any) -> Iterator[Place]:
    own = transform.Rotation
    yield transform, "Rotation", _RotationKind("Rotation", (), {"own": own, "ours": (Rotation.from_quat,)})
