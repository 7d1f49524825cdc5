"""OKLab: the colours within sRGB, and the largest layout of members that fits into them."""

from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromatic_descent.analysis.results import Array

CENTRE = np.array([0.7, 0.0, 0.0])  # the grey with the most room around it in sRGB
LIGHTNESS = 0.35, 0.9  # visible on white and on black
_OUTSIDE = 20  # one member in so many may lie outside sRGB before it is mapped into it

# OKLab to linear sRGB (Ottosson 2020, https://bottosson.github.io/posts/oklab).
_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def in_gamut(oklab: ArrayLike) -> NDArray[np.bool_]:
    """Whether colours [..., 3] are in sRGB, and neither too dark nor too light to be seen [...]."""
    lab = np.asarray(oklab, dtype=np.float64)
    linear = (lab @ _TO_LMS.T) ** 3 @ _TO_LINEAR.T
    low, high = LIGHTNESS
    inside: NDArray[np.bool_] = ((linear >= 0) & (linear <= 1)).all(axis=-1)
    return inside & (lab[..., 0] >= low) & (lab[..., 0] <= high)


def into_gamut(oklab: Array) -> tuple[Array, list[str]]:
    """Map colours [S, 3] into sRGB: their OKLab [S, 3], and `#rrggbb`.

    A colour outside sRGB gets the nearest lightness from 0.35 to 0.9, then loses chroma at the same
    hue until it is inside (coloraide's `oklch-chroma`).
    """
    from coloraide import Color

    shown = [
        Color("oklab", [float(np.clip(lightness, *LIGHTNESS)), a, b])
        .convert("srgb")
        .fit("srgb", method="oklch-chroma")
        for lightness, a, b in oklab
    ]
    coordinates = np.array([colour.convert("oklab").coords() for colour in shown])
    return coordinates, [colour.to_string(hex=True) for colour in shown]


def ramp(along: Array, dark: str, light: str) -> list[str]:
    """Colours `#rrggbb` between two others in OKLab; `along` is 0 at the first, 1 at the second."""
    from coloraide import Color

    between = Color.interpolate([dark, light], space="oklab")
    return [
        between(float(share)).convert("srgb").to_string(hex=True) for share in np.clip(along, 0, 1)
    ]


def largest_scale(layout: Array) -> tuple[float, Array]:
    """The largest scale at which 19 members in 20 are in sRGB, and the signs of the axes.

    The layout is [S, 3]: lightness, a and b, around zero.
    """
    if not layout.any():
        return 0.0, np.ones(3)
    signs = np.array(list(product([1.0, -1.0], repeat=3)))  # [8, 3]
    size = np.abs(layout).max()
    rays = signs[:, None] * layout / size  # [8, S, 3]
    low, high = np.zeros(rays.shape[:2]), np.ones(rays.shape[:2])  # OKLab of sRGB is within 1
    high /= np.maximum(np.linalg.norm(rays, axis=-1), 1e-3)
    for _ in range(40):  # bisection, each member along its own ray from the centre
        middle = (low + high) / 2
        inside = in_gamut(CENTRE + middle[..., None] * rays)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    scales = np.sort(low, axis=1)[:, len(layout) // _OUTSIDE]  # [8]
    best = int(np.argmax(scales))
    return float(scales[best] / size), signs[best]
