"""Rows as points of a map."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tabvae.report.columns import Bars
from tabvae.report.document import Group, Map
from tabvae.report.request import Subject
from tabvae.values.arrow import Floats, Ints, Mask

OTHERS, MISSING = 7, 8
"""Colours of cells in no group of their own."""
FIFTHS = ("lowest fifth", "second", "middle", "fourth", "highest fifth")


def places(subject: Subject, p_values: Floats) -> Map:
    """A map of at most ``most_points`` rows; those that are odd come first.

    Args:
        subject: the table.
        p_values: (N,) of its rows.
    """
    rows = _chosen(subject, p_values)
    embedded = subject.model.embed(subject.table.take(pa.array(rows)))
    z = np.column_stack([column.to_numpy() for column in embedded.columns])
    points, variance = _two_axes(z)
    color = subject.request.color
    if color is None:
        labels, names = _by_p_value(p_values[rows], subject.request.fpr)
    else:
        labels, names = _by_column(subject, rows, color)
    groups = [
        Group(name, color, tuple((x, y) for x, y in points[labels == color].tolist()))
        for color, name in names.items()
    ]
    shown = tuple(group for group in groups if group.points)
    ordered = color is not None and subject.model.schema[color].kind.continuous
    return Map(len(rows), variance, color, ordered, shown)


def _chosen(subject: Subject, p_values: Floats) -> Ints:
    """The odd rows, up to a quarter of the points, and a random choice of the others."""
    most = subject.config.most_points
    odd = np.flatnonzero(p_values <= subject.request.fpr)
    odd = subject.some(odd, most // 4)
    others = subject.some(np.setdiff1d(np.arange(len(p_values)), odd), most - len(odd))
    return np.sort(np.concatenate([odd, others]))


def _two_axes(z: Floats) -> tuple[Ints, float]:
    """Points (N, 2) from 0 to 1000 along the two directions in which coordinates (N, latent) vary
    most, and their share of the variance."""
    centered = z - z.mean(0)
    u, s, directions = np.linalg.svd(centered, full_matrices=False)
    # A direction has no sign of its own: its largest part is positive.
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    plane = np.zeros((len(z), 2))
    plane[:, : min(2, len(s))] = (u * s * signs)[:, :2]
    span = max(float(np.ptp(plane, axis=0).max()), 1e-12)
    middle = (plane.max(0) + plane.min(0)) / 2
    share = float((s[:2] ** 2).sum() / max(float((s**2).sum()), 1e-300))
    return np.rint(500 + 1000 * (plane - middle) / span).astype(np.int64), share


def _by_p_value(p_values: Floats, fpr: float) -> tuple[Ints, dict[int, str]]:
    """A colour for each row, odd ones last, so that they lie on top; and what each means."""
    names = {0: "p-value above 0.1", 1: f"{fpr:g} to 0.1", 2: f"at most {fpr:g}: odd"}
    odd = np.where(p_values <= fpr, 2, 0)
    return np.where((p_values <= 0.1) & (odd == 0), 1, odd), names


def _by_column(subject: Subject, rows: Ints, name: str) -> tuple[Ints, dict[int, str]]:
    codec = subject.model.codec
    j = [column.name for column in codec.columns_].index(name)
    codes = subject.codes[rows]
    observed = codes.observed[:, j]
    if codec.bins_[j].is_number:
        colors, names = _fifths(subject, j, codes.values[:, j], observed)
    else:
        colors, names = _categories(Bars.of(subject, j), codes.bins[:, j])
    return np.where(observed, colors, MISSING), {**names, MISSING: "missing or unknown"}


def _categories(bars: Bars, bins: Ints) -> tuple[Ints, dict[int, str]]:
    plain = [f"number {k + 1} by frequency" for k in range(len(bars.chosen))]
    labels = bars.labels or plain
    colors = np.full(len(bins), OTHERS)
    for k, category in enumerate(bars.chosen):
        colors[bins == category] = k
    return colors, dict(enumerate(labels[: len(plain)])) | {OTHERS: "others"}


def _fifths(
    subject: Subject, j: int, values: Floats, observed: Mask
) -> tuple[Ints, dict[int, str]]:
    if not observed.any():
        return np.zeros(len(values), np.int64), {}
    edges = np.quantile(values[observed], np.linspace(0, 1, len(FIFTHS) + 1))
    names = {}
    for k, fifth in enumerate(FIFTHS):
        low, high = subject.request.ends(subject.model.codec.columns_[j], edges[k], edges[k + 1])
        names[k] = fifth if low is None else f"{low} to {high}"
    return np.digitize(values, edges[1:-1]), names
