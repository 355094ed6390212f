"""Programs as torch.export saves them, with torch's values and gradients beside them.

They are made anew by hand, where torch is installed, by

    python -m tests.clients.importers.torch_programs [FOLDER | NAME ...]

Each module lies beside this file as programs/NAME.pt2, in float64, and what torch makes of it as NAME.npz: the
arguments, the loss, and the gradient of every parameter. FOLDER holds programs of single operators that the study of
torch's own tests has kept (`python -m tests.thirdparty.torch_ops.study --keep FOLDER`): those with operators that
operators.zip does not have go there.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gradserve.client.importers.aten.exporting import archive_of

FOLDER = Path(__file__).parent / "programs"
DATE = (2026, 1, 1, 0, 0, 0)


class Classifier(nn.Module):  # type: ignore[misc]  # where there is no torch
    """The mean cross entropy of what a network makes of inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(self.network(x), labels)


class Encoder(nn.Module):  # type: ignore[misc]  # where there is no torch
    """A transformer's encoder over tokens, and scores of their mean."""

    def __init__(self, tokens: int = 12, width: int = 8, classes: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width, padding_idx=0)
        self.position = nn.Parameter(torch.randn(1, 5, width) * 0.1)
        layer = nn.TransformerEncoderLayer(width, 2, 12, dropout=0.1, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(tokens) + self.position).mean(dim=1))


class Quantised(nn.Module):  # type: ignore[misc]  # where there is no torch
    """Scores of rounded features, whose derivative goes straight through, less what a fixed branch makes of them."""

    def __init__(self, width: int = 6, classes: int = 3) -> None:
        super().__init__()
        self.first, self.target, self.last = nn.Linear(5, width), nn.Linear(width, classes), nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = torch.tanh(self.first(x))
        rounded = features + (torch.round(4 * features) / 4 - features).detach()
        with torch.no_grad():
            target = torch.softmax(self.target(features), -1)
            with torch.enable_grad():
                within = self.first.weight.square().sum()
        return self.last(rounded[...]) * (1 - target) + 0.1 * within


class Recurrent(nn.Module):  # type: ignore[misc]  # where there is no torch
    """Two layers of gated recurrent units in both directions, and scores of the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(x)[0][:, -1])


class UNet(nn.Module):  # type: ignore[misc]  # where there is no torch
    """Two levels of convolutions down and up again, with connections across."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU())
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.LeakyReLU(0.1))
        self.bottom = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 6, 3, padding=1), nn.ELU())
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.third = nn.Sequential(nn.Conv2d(12, 4, 3, padding=1), nn.GELU())
        self.wide = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.first(x)
        coarse = self.second(fine)
        joined = self.third(torch.cat([coarse, self.up(self.bottom(coarse))], dim=1))
        return self.last(torch.cat([fine, self.wide(joined)], dim=1))


class MixerLayer(nn.Module):  # type: ignore[misc]  # where there is no torch
    """Perceptrons across patches and across channels."""

    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.patches = nn.Sequential(nn.Linear(patches, 6), nn.GELU(), nn.Dropout(0.2), nn.Linear(6, patches))
        self.channels = nn.Sequential(nn.Linear(width, 10), nn.GELU(approximate="tanh"), nn.Linear(10, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = x + self.patches(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        return mixed + self.channels(self.norms[1](mixed))


class Mixer(nn.Module):  # type: ignore[misc]  # where there is no torch
    """An MLP-Mixer over patches of small images."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 6, 4, stride=4)
        self.layers = nn.ModuleList([MixerLayer(4, 6), MixerLayer(4, 6)])
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.patch(x).flatten(2).transpose(1, 2)
        for layer in self.layers:
            mixed = layer(mixed)
        return self.head(mixed.mean(dim=1))


class Penalised(nn.Module):  # type: ignore[misc]  # where there is no torch
    """Scores of images, and of what moves these most: derivatives of layers that have operators for them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.inner = nn.Sequential(
            nn.SiLU(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear"), nn.MaxPool2d(2)
        )
        self.last = nn.ConvTranspose2d(2, 2, 2, dilation=2, padding_mode="zeros")
        self.centres = nn.Parameter(torch.randn(3, 18))
        self.register_buffer("places", torch.rand(2, 3, 3, 2) * 1.6 - 0.8)

    def _near(self, x: torch.Tensor) -> torch.Tensor:
        seen = functional.grid_sample(self.last(self.inner(self.first(x))), self.places, align_corners=False)
        return -torch.cdist(seen.flatten(1), self.centres)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        moved = x.requires_grad_()
        scores = self._near(moved)
        (slopes,) = torch.autograd.grad(scores.logsumexp(1).sum(), moved, create_graph=True)
        (fixed,) = torch.autograd.grad(scores.sum(), moved, retain_graph=True)
        return scores + self._near(x + 0.3 * slopes) + (slopes * fixed).sum() * x.detach().mean()


class Stepped(nn.Module):  # type: ignore[misc]  # where there is no torch
    """Scores by what a layer is after a step down a slope, and by how energies bend."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)
        self.energy = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 1))
        self.rate = nn.Parameter(torch.tensor(0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        func = torch.func
        begin = dict(self.head.named_parameters())
        slopes = func.grad(lambda held: func.functional_call(self.head, held, (x,)).tanh().square().mean())(begin)
        after = {name: held - self.rate * slopes[name] for name, held in begin.items()}
        bends = func.vmap(func.hessian(lambda row: self.energy(row).sum()))(x)
        with torch.no_grad():
            still = bends.mean()
        return func.functional_call(self.head, after, (x,)) + bends.diagonal(dim1=1, dim2=2) * still


class Written(nn.Module):  # type: ignore[misc]  # where there is no torch
    """Scores of features that are written into past their derivatives, and of what is detached before and sees that."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.first(x).mul_(1.5)
        seen = features.detach()
        with torch.no_grad():
            features.clamp_(max=0.5)
            features[0] *= 2
        features[:, 1:3].detach().mul_(features[:, 3:5])
        still = (features**2).detach()
        still[1] = 0.3
        return self.last(features * torch.tanh(features)) * (1 + seen[:, :3]) + still[:, :3]


class Aligned(nn.Module):  # type: ignore[misc]  # where there is no torch
    """Scores by alignments of labels, by least squares, by margins, and by how they vary together."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 4)
        self.register_buffer("labels", torch.tensor([[1, 2], [2, 2], [3, 0], [1, 3]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.head(x)
        times, lengths = torch.tensor([6, 6, 5, 4]), torch.tensor([2, 2, 1, 2])
        logarithms = scores.log_softmax(-1).transpose(0, 1)
        aligned = functional.ctc_loss(logarithms, self.labels, times, lengths, reduction="none")
        fitted = torch.linalg.lstsq(scores, x[..., :2]).solution.square().sum((1, 2))
        others = torch.tensor([[0, 2, -1, 1], [3, -1, 0, 0], [-1, 1, 2, 3], [2, 1, 0, -1]])
        margins = functional.multilabel_margin_loss(scores[:, 0], others, reduction="none")
        together = torch.corrcoef(scores.mean(1))[0] + torch.cov(scores[:, 1], correction=0)[1]
        return torch.stack([aligned, fitted, margins + together], 1)


def convolutional() -> nn.Module:
    """Convolutions with normalised batches."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def modules() -> dict[str, tuple[nn.Module, torch.Tensor, torch.Tensor]]:
    """Each network with a batch of inputs, and their labels."""

    def labels(*shape: int) -> torch.Tensor:
        return torch.randint(0, 3, shape)

    return {
        "convolutional": (convolutional(), torch.randn(4, 3, 8, 8), labels(4)),
        "encoder": (Encoder(), torch.randint(0, 12, (4, 5)), labels(4)),
        "recurrent": (Recurrent(), torch.randn(3, 4, 4), labels(3)),
        "unet": (UNet(), torch.randn(2, 2, 8, 8), labels(2, 8, 8)),
        "mixer": (Mixer(), torch.randn(3, 1, 8, 8), labels(3)),
        "quantised": (Quantised(), torch.randn(4, 5), labels(4)),
        "penalised": (Penalised(), torch.randn(2, 1, 8, 8), labels(2)),
        "aligned": (Aligned(), torch.randn(4, 6, 5), labels(4)),
        "written": (Written(), torch.randn(4, 5), labels(4)),
        "stepped": (Stepped(), torch.randn(4, 3), labels(4)),
    }


def compact(program: bytes) -> bytes:
    """An archive without what tells nothing of the program: examples, and where each node came from within torch."""
    with zipfile.ZipFile(io.BytesIO(program)) as given:
        entries = {name: given.read(name) for name in given.namelist() if "sample_inputs" not in name}
    read = json.loads(entries["archive/models/model.json"])
    strip(read)
    for node in read["graph_module"]["graph"]["nodes"]:
        trace = (
            node["metadata"].get("stack_trace", "").replace(str(Path(__file__).parent), "").replace(torch_folder(), "")
        )
        node["metadata"] = {"stack_trace": trace, "torch_fn": node["metadata"].get("torch_fn", "")}
    entries["archive/models/model.json"] = json.dumps(read, separators=(",", ":")).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, data in entries.items():
            made.writestr(zipfile.ZipInfo(name, DATE), data, zipfile.ZIP_DEFLATED, 9)
    return file.getvalue()


def strip(program: dict[str, Any]) -> None:
    """Leaves away what is not read of arrays."""
    graph = program["graph_module"]["graph"]
    for name, told in graph["tensor_values"].items():
        graph["tensor_values"][name] = {key: told[key] for key in ("dtype", "sizes", "strides", "storage_offset")}


def torch_folder() -> str:
    """Where torch is installed, but for the folder that tells that it is a package."""
    return str(Path(torch.__file__).parents[2])


def write_modules(only: Sequence[str] = ()) -> None:
    """The modules, or some of them, and what torch makes of them."""
    torch.manual_seed(20)
    torch.backends.mha.set_fastpath_enabled(False)
    for name, (network, x, labels) in modules().items():
        if only and name not in only:
            continue
        module = Classifier(network).double().eval()
        for each in module.modules():
            if isinstance(each, nn.BatchNorm2d):
                each.running_mean = torch.randn(each.num_features).double() * 0.2
                each.running_var = torch.rand(each.num_features).double() + 0.5
        exact = x.double() if x.is_floating_point() else x
        loss = module(exact, labels)
        loss.backward()
        gradients = {
            f"gradient:{key}": (torch.zeros_like(each) if each.grad is None else each.grad).numpy()
            for key, each in module.named_parameters()
        }
        data = compact(archive_of(module, (exact, labels), {}))
        (FOLDER / f"{name}.pt2").write_bytes(data)
        found: dict[str, Any] = {"x": exact.detach().numpy(), "labels": labels.numpy(), "loss": loss.detach().numpy()}
        np.savez_compressed(FOLDER / f"{name}.npz", **found, **gradients)
        print(name, float(loss), len(data), (FOLDER / f"{name}.npz").stat().st_size)


def _targets(path: Path) -> set[str]:
    """The operators of a program."""
    program = json.loads(zipfile.ZipFile(path).read("archive/models/model.json"))
    return {node["target"] for node in program["graph_module"]["graph"]["nodes"]}


def _covering(programs: dict[Path, set[str]], seen: set[str]) -> list[Path]:
    """Few of these programs, small ones first, that have all operators of all but those seen."""
    found = []
    for path in sorted(programs, key=lambda path: (len(programs[path]), path.stat().st_size, path.name)):
        if not programs[path] <= seen:
            found.append(path)
            seen |= programs[path]
    return found


def write_operators(folder: Path) -> None:
    """The programs of single operators, and their numbers, go into one file."""
    with zipfile.ZipFile(FOLDER / "operators.zip") as had:
        programs = [json.loads(had.read(name)) for name in had.namelist() if name.endswith(".json")]
    seen = {node["target"] for program in programs for node in program["graph_module"]["graph"]["nodes"]}
    kept = _covering({path: _targets(path) for path in folder.glob("*.pt2")}, seen)
    with zipfile.ZipFile(FOLDER / "operators.zip", "a") as made:
        for path in kept:
            program = json.loads(zipfile.ZipFile(path).read("archive/models/model.json"))
            strip(program)
            for node in program["graph_module"]["graph"]["nodes"]:
                node["metadata"] = {}
            data = json.dumps(program, separators=(",", ":")).encode()
            with np.load(path.with_suffix(".npz")) as arrays:
                numbers = io.BytesIO()
                np.savez(numbers, **arrays)
            for suffix, content in ((".json", data), (".npz", numbers.getvalue())):
                entry = zipfile.ZipInfo(path.stem + suffix, DATE)
                made.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    print(len(kept), (FOLDER / "operators.zip").stat().st_size)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    if sys.argv[1:] and Path(sys.argv[1]).is_dir():
        write_operators(Path(sys.argv[1]))
    else:
        write_modules(sys.argv[1:])
