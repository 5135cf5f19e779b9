"""What is written about a video while its frames are answered."""

import os
from typing import Any, Optional

import numpy as np

from tools.inference import videos


class VideoOutput:
  """A drawn video that becomes visible when it is complete.

  Attributes:
    source: sources.Source.
    path: path of the file; '': none is written.
    link: the same, relative to the page; None.
    num_frames: int, so far.
    fullest: the result with most objects, to be shown on the page.
  """

  def __init__(self, source: Any, rate: float) -> None:
    """Takes the source and the frames a second."""
    self.source, self._rate = source, rate
    self.path, self.link = '', None
    self._writer: Optional[videos.Writer] = None
    self.num_frames, self.fullest = 0, None

  @property
  def _unfinished(self):
    folder, name = os.path.split(self.path)
    return os.path.join(folder, '.part-' + name)

  def add(self, result: Any, frame: Optional[np.ndarray]) -> None:
    """Appends a frame.

    Args:
      result: a result of serving.results.
      frame: uint8 [H, W, 3], drawn; None: nothing is written.

    Raises:
      VideoError: if the file cannot be written.
    """
    self.num_frames += 1
    if self.fullest is None or (
        len(result.classes) > len(self.fullest.classes)):
      self.fullest = result
    if frame is None:
      return
    if self._writer is None:
      height, width = frame.shape[:2]
      self._writer = videos.Writer(self._unfinished, self._rate,
                                   (height, width))
    self._writer.write(frame)

  def close(self) -> None:
    """Completes the file."""
    if self._writer:
      self._writer.close()
      os.replace(self._unfinished, self.path)
