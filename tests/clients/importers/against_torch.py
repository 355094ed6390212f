"""Networks as PyTorch exports them, with its losses and gradients.

They are made anew by hand, where PyTorch is installed, by

    python -m tests.clients.importers.against_torch

Each network lies beside this file as NAME.onnx (float32, initialisers named as PyTorch names parameters), and what
PyTorch makes of it in float64 as NAME.npz: the batch, the loss, and the gradient of every parameter.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FOLDER = Path(__file__).parent / "networks"
OPSET = 20


class Encoder(nn.Module):  # type: ignore[misc]  # where there is no PyTorch
    """A transformer's encoder over tokens, and a classifier of their mean."""

    def __init__(self, tokens: int = 20, width: int = 16, classes: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.position = nn.Parameter(torch.randn(1, 6, width) * 0.1)
        layer = nn.TransformerEncoderLayer(
            width, 4, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(tokens) + self.position).mean(dim=1))


class Recurrent(nn.Module):  # type: ignore[misc]  # where there is no PyTorch
    """Two layers of LSTM in both directions over tokens, gated units over these, and a classifier of the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.lstm = nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(10, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(self.lstm(self.embedding(tokens))[0])[0][:, -1])


class Masked(nn.Module):  # type: ignore[misc]  # where there is no PyTorch
    """Attention to what came before and is not padding, and a classifier of the mean over what is not."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 8, padding_idx=0)
        self.norm = nn.LayerNorm(8)
        self.attended = nn.Linear(8, 24)
        self.feed = nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        h, there = self.embedding(tokens), tokens != 0
        q, k, v = self.attended(self.norm(h)).view(-1, 6, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        mask = there[:, None, None, :] & torch.ones(6, 6, dtype=torch.bool).tril()
        h = h + functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        h, weights = h + self.feed(self.norm(h)), there.to(h.dtype)[..., None]
        return self.head((h * weights).sum(1) / weights.sum(1))


class Warped(nn.Module):  # type: ignore[misc]  # where there is no PyTorch
    """Images brought into place by a map that is computed from them, made larger and smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, stride=2, padding=1)
        self.place = nn.Linear(3, 6)
        self.place.weight.data *= 0.3
        self.place.bias.data = torch.tensor([0.9, 0.1, 0.02, -0.1, 0.8, 0.05])
        self.wide = nn.Conv2d(2, 8, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(2, 4, 3, 2, 1, 1)
        self.norm = nn.InstanceNorm2d(4, affine=True)
        self.last = nn.Conv2d(6, 3, 3, padding=2, dilation=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        theta = self.place(functional.relu(self.first(x)).mean((2, 3))).view(-1, 2, 3)
        grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
        x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
        y = functional.pixel_shuffle(self.wide(x), 2)
        y = functional.interpolate(y, scale_factor=0.5, mode="bilinear", align_corners=False)
        y = functional.avg_pool2d(functional.hardswish(self.norm(self.up(y))), 2)
        return self.last(torch.cat([y, functional.interpolate(x, size=(8, 8), mode="nearest")], 1)).amax((2, 3))


def networks() -> dict[str, tuple[nn.Module, torch.Tensor, int]]:
    """Each network with a batch of inputs and its number of classes."""
    perceptron = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3))
    convolutional = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=2),
        nn.BatchNorm2d(12),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    )
    for module in convolutional:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features) * 0.2
            module.running_var = torch.rand(module.num_features) + 0.5
    tokens = torch.randint(0, 20, (7, 6))
    return {
        "perceptron": (perceptron, torch.randn(10, 8), 3),
        "convolutional": (convolutional, torch.randn(4, 3, 12, 12), 5),
        "encoder": (Encoder(), tokens, 4),
        "recurrent": (Recurrent(), torch.randint(0, 9, (3, 5)), 3),
        "masked": (Masked(), torch.tensor([[1, 2, 3, 4, 5, 6], [7, 8, 1, 0, 0, 0], [3, 3, 2, 1, 0, 0]]), 3),
        "warped": (Warped(), torch.randn(2, 2, 8, 8), 3),
    }


def main() -> None:
    """Writes the networks and what PyTorch makes of them."""
    FOLDER.mkdir(exist_ok=True)
    torch.manual_seed(20)
    torch.backends.mha.set_fastpath_enabled(False)
    for name, (network, batch, classes) in networks().items():
        network.eval()
        with torch.no_grad():  # the exporter makes one initialiser of parameters that are equal
            for parameter in network.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        labels = torch.randint(0, classes, (len(batch),))
        torch.onnx.export(
            network,
            (batch,),
            str(FOLDER / f"{name}.onnx"),
            input_names=["x"],
            output_names=["scores"],
            opset_version=OPSET,
            dynamo=False,
            export_params=True,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
        network.double()
        exact = batch.double() if batch.is_floating_point() else batch
        loss = nn.functional.cross_entropy(network(exact), labels)
        loss.backward()
        gradients = {f"gradient:{key}": each.grad.numpy() for key, each in network.named_parameters()}
        np.savez_compressed(
            FOLDER / f"{name}.npz", x=exact.numpy(), labels=labels.numpy(), loss=loss.detach().numpy(), **gradients
        )
        print(name, float(loss), (FOLDER / f"{name}.onnx").stat().st_size, (FOLDER / f"{name}.npz").stat().st_size)


if __name__ == "__main__":
    main()
