"""Noise from the operating system's entropy, which no seed repeats.

Counts get exact noise: discrete Gaussian and Laplace noise by whole numbers alone (Canonne, Kamath
& Steinke 2020), so that no rounding tells what was below it (Mironov 2012). Sums of gradients are
float32, and so is what is added to them: that attack is not excluded there.
"""

from __future__ import annotations

import math
import secrets
from fractions import Fraction

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from tabvae.values.arrow import Floats, Ints


def noisy_counts(counts: Ints, variance: Fraction) -> Ints:
    """Counts (n,) with discrete Gaussian noise of that ``variance`` parameter.

    Sensitivity: a row falls into at most one of the counts, so that adding or removing one changes
    one of them by 1, in the L2 norm by 1. The Renyi divergence of order a is at most
    a / (2 variance) (Canonne et al. 2020, theorem 14), that of ``GaussianDpEvent`` with the
    multiplier sqrt(variance).
    """
    noise = [discrete_gaussian(variance) for _ in range(len(counts))]
    return counts.astype(np.int64) + np.array(noise, dtype=np.int64).reshape(len(counts))


def noisy_count(count: int, epsilon: float) -> int:
    """A count with discrete Laplace noise.

    Sensitivity: adding or removing a row changes it by 1: pure epsilon (Ghosh et al. 2009).
    """
    parts = 10**6  # Rounded down, which is more noise.
    return count + discrete_laplace(Fraction(math.floor(epsilon * parts), parts))


def threshold(least: int, variance: Fraction, delta: float) -> float:
    """What a noisy count has to be above, for a value to be released that occurs ``least`` times.

    Of a value that occurs less often nothing is released. A row can make it occur ``least`` times;
    then it is released with probability ``delta`` at most. The tail of discrete noise beyond k is
    no heavier than that of a normal one beyond k - 1 (Canonne et al. 2020, proposition 25).
    """
    return least + 1 + math.sqrt(variance) * float(-ndtri(delta))


def discrete_gaussian(variance: Fraction) -> int:
    """A whole number y with probability proportional to exp(-y^2 / (2 variance)).

    By rejection from discrete Laplace noise (Canonne et al. 2020, algorithm 3).
    """
    scale = math.isqrt(math.floor(variance)) + 1
    while True:
        drawn = discrete_laplace(Fraction(1, scale))
        excess = abs(drawn) - variance / scale
        if _with_probability_exp(excess * excess / (2 * variance)):
            return drawn


def discrete_laplace(epsilon: Fraction) -> int:
    """A whole number y with probability proportional to exp(-epsilon |y|); epsilon is positive.

    Canonne et al. 2020, algorithm 2: with epsilon = s / t, U + t V is geometric with exp(-1/t).
    """
    s, t = epsilon.numerator, epsilon.denominator
    while True:
        remainder = secrets.randbelow(t)
        if not _with_probability_exp(Fraction(remainder, t)):
            continue
        times = 0
        while _with_probability_exp(Fraction(1)):
            times += 1
        size = (remainder + t * times) // s
        negative = secrets.randbits(1)
        if size or not negative:  # else zero would come twice as often
            return -size if negative else size


def _with_probability_exp(gamma: Fraction) -> bool:
    """True with probability exp(-gamma), exactly; gamma is not negative (algorithm 1)."""
    while gamma > 1:
        if not _with_probability_exp(Fraction(1)):
            return False
        gamma -= 1
    k = 1
    while secrets.randbelow(gamma.denominator * k) < gamma.numerator:
        k += 1
    return k % 2 == 1


def uniforms(count: int) -> Floats:
    """(count,) numbers in 0 .. 1, 1 left out, of 53 random bits each."""
    bits = np.frombuffer(secrets.token_bytes(8 * count), dtype=np.uint64) >> np.uint64(11)
    return np.ldexp(bits.astype(np.float64), -53)


def chosen(count: int, rate: float) -> Ints:
    """Numbers of rows, each of ``count`` chosen with probability ``rate`` by itself (Poisson
    sampling)."""
    return np.flatnonzero(uniforms(count) < rate)


def normals(like: Tensor) -> Tensor:
    """Standard normal numbers in the shape of ``like`` (Box & Muller 1958)."""
    pairs = (like.numel() + 1) // 2
    u, v = uniforms(2 * pairs).reshape(2, pairs)
    radius, angle = np.sqrt(-2 * np.log1p(-u)), 2 * np.pi * v
    drawn = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[: like.numel()]
    return torch.from_numpy(drawn).to(like.dtype).reshape(like.shape).to(like.device)


def generator(device: torch.device) -> torch.Generator:
    """Of what each row is shown: not to be repeated, but no noise that privacy rests on."""
    return torch.Generator(device).manual_seed(secrets.randbits(63))
