"""The chart's golden renders: what it makes of a few sets of values, committed, so that every change of it is read.

`make golden` writes them anew. A set is a file `golden/NAME.values.yaml` or one of the chart's own; its render lies
beside it in `golden/NAME.yaml`: the notes to the user, then the manifests by kind and name. Of a random token, of
dashboards and rules there are marks alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.chart import CHART, PRODUCTION, HelmVersion, Manifest, notes, render

FOLDER = Path(__file__).with_name("golden")
_SUFFIX = ".values.yaml"
_OWN = {path.name.removesuffix(_SUFFIX): path for path in sorted(FOLDER.glob(f"*{_SUFFIX}"))}

SETS: dict[str, tuple[Path, ...]] = {
    "defaults": (),
    "production": (PRODUCTION,),
    **{name: (path,) for name, path in _OWN.items()},
}
"""The files of values that each set lies together."""


def rendered(name: str) -> list[Manifest]:
    """The manifests of a set, the reader's own to change."""
    return copy.deepcopy(_rendered(name, 4))


def files() -> dict[str, str]:
    """The text of every golden file, by its name."""
    return {f"{name}.yaml": text(name) for name in SETS}


@cache
def text(name: str, helm: HelmVersion = 4, chart: Path = CHART) -> str:
    """The golden render of a set; of another chart's templates if told so."""
    made = _rendered(name, helm) if chart == CHART else render(*SETS[name], helm=helm, chart=chart)
    manifests = sorted(_marked(made), key=lambda m: (m["kind"], m["metadata"]["name"]))
    return yaml.dump_all([notes(*SETS[name]), *manifests], Dumper=_Dumper, width=120, default_flow_style=None)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts of many lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        """Writes everything out wherever it stands."""
        return True


def _text(dumper: _Dumper, data: str) -> yaml.ScalarNode:
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)
    return node


_Dumper.add_representer(str, _text)


@cache
def _rendered(name: str, helm: HelmVersion) -> list[Manifest]:
    return render(*SETS[name], helm=helm)


def _marked(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The manifests without what differs by rendering or lies elsewhere in the repository."""
    marked = copy.deepcopy(list(manifests))
    for manifest in marked:
        if manifest["kind"] == "ConfigMap" and "settings.yaml" not in manifest["data"]:
            manifest["data"] = dict.fromkeys(manifest["data"], "(a dashboard)")
        if manifest["kind"] == "PrometheusRule":
            manifest["spec"] = "(the rules)"
        if manifest["kind"] == "Secret" and manifest["metadata"]["name"].endswith("-ray-token"):
            manifest["data"] = dict.fromkeys(manifest["data"], "(a token)")
    return marked


if __name__ == "__main__":
    for file, content in files().items():
        (FOLDER / file).write_text(content)
