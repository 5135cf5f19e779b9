"""Videos, read and written frame by frame with OpenCV."""

import os
from typing import Tuple

import cv2
import numpy as np

from tools.inference import sources as sources_lib

# By ending. Players know both, browsers only the second, which takes four times
# as long.
_CODECS = {'.mp4': 'mp4v', '.webm': 'VP80'}
_USUAL_RATE = 25.  # frames a second, where a file does not say
_HIGHEST_RATE = 240.


class VideoError(ValueError):
  """A video that cannot be read or written; says which and why."""


class Reader:
  """The frames of a video, upright.

  Attributes:
    rate: float, frames a second, of those that are read.
    num_frames: int, that the file promises; 0 if it does not.
  """

  def __init__(self, path: str, step: int = 1) -> None:
    """Opens a file; of its frames every step-th is read.

    Raises:
      VideoError: if it is not a video.
    """
    self._name, self._step = sources_lib.shown(path), step
    self._capture = cv2.VideoCapture(path)
    if not self._capture.isOpened():
      raise VideoError('%s cannot be read as a video: it is damaged, or in a '
                       'format that OpenCV does not support.' % self._name)
    rate = self._capture.get(cv2.CAP_PROP_FPS)
    self.rate = (rate if 0 < rate <= _HIGHEST_RATE else _USUAL_RATE) / step
    self._promised = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    self.num_frames = -(-self._promised // step)

  def __iter__(self):
    """Yields (number of the frame in the video, uint8 [H, W, 3] RGB).

    Raises:
      VideoError: if there is no frame.
    """
    number = 0
    try:
      while self._capture.grab():
        if number % self._step == 0:
          is_decoded, frame = self._capture.retrieve()
          if not is_decoded:
            break
          yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        number += 1
    finally:
      self._capture.release()
    if not number:
      raise VideoError('%s has no frame that can be read.' % self._name)
    # Some files promise a frame or two more than there are.
    if number < .95 * self._promised - 2:
      raise VideoError('%s ends after %d of %d frames: it is truncated or '
                       'damaged there.' % (self._name, number, self._promised))


class Writer:
  """Writes an .mp4 or .webm file; OpenCV writes no sound."""

  def __init__(self, path: str, rate: float, size: Tuple[int, int]) -> None:
    """Opens a file.

    Args:
      path: path of the file.
      rate: float, frames a second.
      size: (height, width) of the frames.

    Raises:
      VideoError: if it cannot be written.
    """
    # The codec takes even sides; a row and a column are repeated.
    self._padding = [side % 2 for side in size]
    height, width = [side + more for side, more in zip(size, self._padding)]
    codec = cv2.VideoWriter_fourcc(*_CODECS[os.path.splitext(path)[1]])
    self._writer = cv2.VideoWriter(path, codec, rate, (width, height))
    if not self._writer.isOpened():
      raise VideoError('%s of %d x %d pixels cannot be written.' % (
          sources_lib.shown(path), height, width))

  def write(self, frame: np.ndarray) -> None:
    """Appends uint8 [H, W, 3], RGB."""
    bottom, right = self._padding
    self._writer.write(cv2.copyMakeBorder(
        frame[:, :, ::-1], 0, bottom, 0, right, cv2.BORDER_REPLICATE))

  def close(self) -> None:
    """Completes the file."""
    self._writer.release()
