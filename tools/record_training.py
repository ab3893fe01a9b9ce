"""Record the gradients of a real training run: a bigram model of letters, trained on this repository's LICENSE.

    python tools/record_training.py [--steps 12] [--out refimpl/cases/data/bigram.npz]

An embedding table (27 letters x 4, sparse gradients, torch.optim.SparseAdam) feeds a linear layer (torch.optim.Adam). What is
kept is what the optimizers were given: the start of both parameters, and at every step the uncoalesced row gradient of the
table, duplicates as they came, and the dense gradient of the layer. The vectors replay it (theme `training`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
LETTERS = " abcdefghijklmnopqrstuvwxyz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--out", type=Path, default=ROOT / "refimpl/cases/data/bigram.npz")
    options = parser.parse_args()
    words = " ".join((ROOT / "LICENSE").read_text().lower().split())
    text = [LETTERS.index(letter) for letter in words if letter in LETTERS]
    torch.manual_seed(20261123)
    table = torch.nn.Embedding(len(LETTERS), 4, sparse=True)
    layer = torch.nn.Linear(4, len(LETTERS), bias=False)
    optimizers = [torch.optim.SparseAdam(table.parameters(), lr=0.05), torch.optim.Adam(layer.parameters(), lr=0.05)]
    kept = {"table": table.weight.detach().numpy().copy(), "layer": layer.weight.detach().numpy().copy()}
    for step in range(options.steps):
        at = torch.arange(step * options.batch, (step + 1) * options.batch)
        letters, following = torch.tensor(text)[at], torch.tensor(text)[at + 1]
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(layer(table(letters)), following)
        loss.backward()
        gradient = table.weight.grad
        kept[f"indices.{step}"] = gradient._indices()[0].numpy().copy()
        kept[f"values.{step}"] = gradient._values().numpy().copy()
        kept[f"dense.{step}"] = layer.weight.grad.numpy().copy()
        for optimizer in optimizers:
            optimizer.step()
        print(f"step {step + 1:3d}  loss {loss.item():.4f}  {len(letters)} letters, {len(letters.unique())} different")
    np.savez(options.out, **kept)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
