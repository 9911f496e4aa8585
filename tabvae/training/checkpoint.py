"""The state of training in a file beside the model, so that a run that was killed can go on.

The state of each network is taken where its training is evaluated and written now and then; the run
goes on from there with the same numbers as if nothing had happened.
"""

from __future__ import annotations

import hashlib
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tabvae.columns.arrays import Arrays, unprefixed
from tabvae.columns.codes import Codes
from tabvae.columns.from_json import from_json
from tabvae.errors import DataError, OutputError, TabVAEWarning, shown
from tabvae.files import container
from tabvae.training.state import Snapshot, State
from tabvae.training.trainer import Trainer

KIND = "checkpoint"


class Checkpoint:
    """Keeps the states of all networks of a run in one file.

    Args:
        path: of the file.
        seconds: least time between two states of a network; 0 keeps one at every evaluation.
        resume: go on from what the file holds, if it is there.
    """

    def __init__(self, path: str, seconds: float = 60.0, resume: bool = False) -> None:
        self.path, self.seconds, self.resume = path, seconds, resume
        self._lock = threading.Lock()
        self._snapshots: dict[int, Snapshot] = {}
        self._begun = time.monotonic()
        self._written: dict[int, float] = {}
        self._fingerprint = ""

    def begin(self, codes: Codes, settings: object, team: Sequence[Trainer]) -> None:
        """Bring the trainers of all networks to where an earlier run of the same table left them,
        if it left anything.

        Raises:
            ModelFileError: the file is no checkpoint, or is damaged.
            DataError: it is of another table, other options or another release of torch.
        """
        self._fingerprint = _fingerprint(codes, settings)
        if not self.resume or not Path(self.path).exists():
            return
        document, arrays = container.read(self.path)
        if document.get("kind") != KIND or document.get("fingerprint") != self._fingerprint:
            raise DataError(
                f"{shown(self.path)} is of another table or other options",
                "without --resume, fit begins anew",
            )
        with container.damage_told(self.path):
            numbers = {str(net): net for net in range(len(team))}
            for name, state in document["nets"].items():
                part = unprefixed(f"net.{name}.", arrays).items()
                tensors = {key: torch.tensor(array) for key, array in part}
                snapshot = Snapshot(from_json(State, state), tensors)
                team[numbers[name]].resume(snapshot)
                self._snapshots[numbers[name]] = snapshot

    def keep(self, net: int, take: Callable[[], Snapshot]) -> None:
        """When it is time for a network, take a snapshot, and write it with those of the others.

        A disk that is full is no reason to end the run: it goes on with a warning.
        """
        if time.monotonic() - self._written.get(net, self._begun) < self.seconds:
            return
        with self._lock:
            self._snapshots[net] = take()
            try:
                self._write()
            except OutputError as error:
                warnings.warn(f"no checkpoint: {error}", TabVAEWarning, stacklevel=2)
            self._written[net] = time.monotonic()

    def discard(self) -> None:
        """Remove the file: the run has ended."""
        Path(self.path).unlink(missing_ok=True)

    def _write(self) -> None:
        nets: dict[str, Any] = {}
        arrays: Arrays = {}
        for net, snapshot in self._snapshots.items():
            nets[str(net)] = asdict(snapshot.state)
            for name, tensor in snapshot.tensors.items():
                arrays[f"net.{net}.{name}"] = tensor.cpu().numpy()
        document = {"kind": KIND, "fingerprint": self._fingerprint, "nets": nets}
        container.write(self.path, document, arrays)


def _fingerprint(codes: Codes, settings: object) -> str:
    """Of the table as the networks see it and of all that decides how they train."""
    digest = hashlib.sha256(f"{settings} {torch.__version__}".encode())
    for array in vars(codes).values():
        digest.update(array.tobytes())
    return digest.hexdigest()
