"""Images and videos through a model, with all cores at work.

Three stages at once: threads of the predictor decode the next images, the
network runs, other threads draw and encode what was answered.
"""

import collections
from concurrent import futures
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import tqdm

from serving import predictor
from tools.inference import answers
from tools.inference import outputs as outputs_lib
from tools.inference import sources as sources_lib
from tools.inference import video_outputs
from tools.inference import videos
from utils import files
from utils import types

_NUM_THREADS = 2  # that draw and encode
_MOST_WAITING = 8  # answers that hold their images
_FRAMES_AHEAD = 4


class _Image(NamedTuple):
  """One image on its way.

  Attributes:
    source: origin of the item.
    image_id: image id used in the results.
    video: video_outputs.VideoOutput, or None.
  """
  source: sources_lib.Source
  image_id: types.Id
  video: Any


class _Work(NamedTuple):
  """What a thread makes of an answer.

  Attributes:
    image: that was asked about.
    result: the part of the answer that was asked for.
    entries: entries of the file of results.
    frame: to be written, or None.
    card: page.Card, or None.
  """
  image: _Image
  result: Any
  entries: List[Dict[str, Any]]
  frame: Optional[np.ndarray]
  card: Any


class Run:
  """One pass over all sources.

  Attributes:
    selection: answers.Selection.
    seconds: float, from the first image on.
    is_interrupted: bool, whether the user has stopped it; what was answered
      until then is written.
  """

  def __init__(self, detect: predictor.Predictor, outputs: outputs_lib.Outputs,
               selection: answers.Selection, frame_step: int = 1,
               show: bool = True) -> None:
    """Takes the parts.

    Args:
      detect: predictor.Predictor.
      outputs: outputs.Outputs.
      selection: answers.Selection.
      frame_step: int, of videos every so many frames are looked at.
      show: bool, whether progress is shown.
    """
    self._detect, self._outputs = detect, outputs
    self._frame_step = frame_step
    self.selection = selection
    self._show, self._bar, self._video = show, None, None
    self._on_the_way = collections.deque()
    self.seconds, self.is_interrupted = 0., False

  def __call__(self, sources: Sequence[sources_lib.Source]) -> None:
    """Answers all sources; see Outputs for the results."""
    start = time.time()
    with self._progress(sources) as self._bar, futures.ThreadPoolExecutor(
        _NUM_THREADS) as pool:
      waiting = collections.deque()
      try:
        for answer in self._detect.stream(self._images(sources)):
          self._take(answer, pool, waiting)
      except KeyboardInterrupt:
        self.is_interrupted = True
      for future in waiting:
        self._write(future.result())
    self._finish_video()
    self.seconds = time.time() - start

  def _progress(self, sources):
    is_terminal = sys.stderr.isatty()
    return tqdm.tqdm(
        total=sum(s.kind == sources_lib.IMAGE for s in sources), unit='image',
        disable=not self._show, file=sys.stderr, smoothing=.05,
        # A log file gets a line now and then.
        mininterval=.3 if is_terminal else 10., ascii=not is_terminal)

  def _take(self, answer, pool, waiting):
    """Hands an answer to a thread, and writes those that are done."""
    image = self._on_the_way.popleft()
    if isinstance(answer, predictor.InputError):
      self._skip(image.source, str(answer))
      return
    path = link = None
    if self._outputs.draws and not image.video:
      path, link = self._outputs.drawn_path(image.image_id, answer.image_size)
    has_card = not image.video and self._outputs.has_room()
    waiting.append(pool.submit(self._work, image, answer, path, link, has_card))
    while len(waiting) >= _MOST_WAITING or waiting and waiting[0].done():
      self._write(waiting.popleft().result())

  def _skip(self, source, message):
    """Tells of what cannot be read, at once and on the page."""
    name = sources_lib.shown(source.path)
    message = sources_lib.readable(message)
    if name not in message:
      message = '%s: %s' % (name, message)
    self._outputs.failures.append(message)
    self._bar.clear()
    print('Skipped: %s' % message, file=sys.stderr)
    self._bar.update(source.kind == sources_lib.IMAGE)

  def _images(self, sources):
    """Yields what the predictor takes, and notes what it is."""
    for source in sources:
      if source.kind == sources_lib.VIDEO:
        yield from self._frames(source)
      else:
        try:
          content = _content(source.path)
        except OSError as e:
          self._skip(source, str(e))
          continue
        self._on_the_way.append(_Image(source, source.image_id, None))
        yield content

  def _frames(self, source):
    """Yields the frames of a video."""
    try:
      reader = videos.Reader(source.path, self._frame_step)
      video = video_outputs.VideoOutput(source, reader.rate)
      self._bar.total += reader.num_frames
      for number, frame in _ahead(iter(reader)):
        self._on_the_way.append(_Image(
            source, '%s#%d' % (source.image_id, number), video))
        yield frame
    except videos.VideoError as e:
      self._skip(source, str(e))

  def _work(self, image, answer, path, link, has_card):
    """_Work of an answer; runs in another thread."""
    result = answers.select(answer, self.selection)
    frame = card = None
    if image.video:
      frame = outputs_lib.draw(result) if self._outputs.draws else None
    elif path:
      outputs_lib.write_image(path, outputs_lib.draw(result))
    if has_card:
      card = self._outputs.make_card(image.image_id, result, link)
    return _Work(image, result, result.to_coco(image.image_id), frame, card)

  def _write(self, work):
    """Writes what a thread has made; in the order of the images."""
    video = work.image.video
    if video is not self._video:
      self._finish_video()
      self._video = video
    self._outputs.add(work.image.image_id, work.result, work.entries)
    if work.card:
      self._outputs.cards.append(work.card)
    if video:
      if work.frame is not None and not video.path:
        video.path, video.link = self._outputs.drawn_path(
            video.source.image_id, ending='.' + self._outputs.video)
      video.add(work.result, work.frame)
    self._bar.update(1)

  def _finish_video(self):
    """Completes the file of the last video."""
    video, self._video = self._video, None
    if video:
      video.close()
      if self._outputs.has_room():
        self._outputs.cards.append(self._outputs.make_card(
            video.source.image_id, video.fullest, video.link,
            'video, %d frames' % video.num_frames))


def _content(path):
  """What the predictor takes: a local file by its name, others by content."""
  if not files.is_remote(path):
    return path
  with files.open_anywhere(path) as f:
    return f.read()


def _ahead(items):
  """Yields the items of an iterator, the next ones of which a thread makes."""
  end = object()
  with futures.ThreadPoolExecutor(1) as pool:
    waiting = collections.deque()
    while True:
      while len(waiting) < _FRAMES_AHEAD:
        waiting.append(pool.submit(next, items, end))
      item = waiting.popleft().result()
      if item is end:
        return
      yield item
