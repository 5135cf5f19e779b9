"""Types that annotations of more than one module name."""

from typing import IO, Any, Callable, Dict, Sequence, Tuple, Union

import numpy as np

# Whatever np.asarray takes: an array, or nested sequences of numbers.
ArrayLike = Union[np.ndarray, Sequence[Any]]

# Of images, objects and categories: numbers, or text as it is written.
Id = Union[int, str]

# {class id: name}.
LabelMap = Dict[int, str]

# Run-length code of a mask, {'size': [height, width], 'counts': text}.
Rle = Dict[str, Any]

# Red, green, blue, 0 to 255.
Color = Tuple[int, int, int]

# (x0, y0, x1, y1), pixels.
Corners = Tuple[float, float, float, float]

# (path, 'rb') -> the file, opened to be read.
OpenFile = Callable[[str, str], IO[bytes]]
