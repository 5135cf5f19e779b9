"""A trained model as a function: images in, results out.

  from serving import predictor
  detect = predictor.load('/tmp/my_run')
  for box, name, score in zip(result.boxes, result.names, result.scores): ...
"""

import collections
from concurrent import futures
import itertools
from typing import Any, Dict, Iterable, Iterator, Optional, Sequence, Union

import numpy as np

from ops import compat
from serving import answers as answers_lib
from serving import checkpoint_model
from serving import exported_model
from serving import images as images_lib
from serving import inputs
from serving import networks
from serving import sources
from utils import types
from utils import views

InputError = images_lib.InputError
LoadError = sources.LoadError

_NUM_THREADS = 2  # that decode and prepare images while the network runs
# Batches in the network at once: the operations of a small network keep one
# core busy, and between two runs the device would wait.
_NUM_RUNS = 2


def load(path: str, checkpoint_path: Optional[str] = None,
         model: Optional[str] = None, config_file: Optional[str] = None,
         params_override: Any = None, batch_size: Optional[int] = None,
         precision: Optional[str] = None, **options: Any) -> 'Predictor':
  """Loads a trained model.

  Args:
    path: a model_dir, whose newest checkpoint is used; a checkpoint prefix,
      with params.yaml beside it; or an exported folder.
    checkpoint_path: prefix of another checkpoint than the newest of `path`.
    model: name of the model, where there is no params.yaml.
    config_file: YAML file over params.yaml.
    params_override: over `config_file`, such as
      'postprocess.score_threshold=0.3'.
    batch_size: int, images that the network sees at once; None: 1 on a CPU,
      8 on a GPU, what it was exported with in an exported folder.
    precision: number format of the network: 'float32'; 'bfloat16'; 'auto', the
      faster of these two on this machine; None: `eval.precision` of the
      configuration, which is float32 unless it was set. An exported model
      keeps that of its export.
    **options: arguments of `Predictor`, and `image_size`, (height, width) that
      images are resized to instead of that of the configuration.

  Returns:
    Predictor.

  Raises:
    LoadError: if there is no model at `path`.
    ConfigError: if the configuration is wrong.
  """
  compat.enable_graph_mode()
  image_size = options.pop('image_size', None)
  if path and sources.is_saved_model(str(path)):
    if (checkpoint_path or model or config_file or params_override
        or image_size or precision):
      raise LoadError(
          '%s is an exported model, whose checkpoint, configuration and '
          'precision are fixed: load its model_dir to change them.' % path)
    return Predictor(exported_model.ExportedModel(path), batch_size, **options)
  source = sources.find_checkpoint(path, checkpoint_path, model, config_file,
                                   params_override, precision)
  spec = inputs.input_spec(source.config, image_size)
  return Predictor(
      checkpoint_model.CheckpointModel(source.config, source.checkpoint, spec,
                                       views.of_section(source.config.eval)),
      batch_size, **options)


class Predictor:
  """Answers images; made by `load`.

  Attributes:
    task: 'detection', 'classification' or 'segmentation'.
    class_names: {class id: name}; {} where nothing tells.
    config: the resolved configuration; None for an export of another program.
    model: runs the network: has `prepare` for an image, `run` for a batch.
    batch_size: int.
  """

  def __init__(self, model: Any, batch_size: Optional[int] = None,
               label_map: Optional[Union[str, types.LabelMap]] = None,
               follow_exif: bool = True, keep_images: bool = True,
               max_pixels: Optional[int] = images_lib.MAX_PIXELS,
               top: int = 5) -> None:
    """Takes the model and the choices.

    Args:
      model: checkpoint_model.CheckpointModel, or what stands in for it.
      batch_size: see `load`.
      label_map: path of a label map, or {class id: name}.
      follow_exif: bool, whether files are turned upright as they note.
      keep_images: bool, whether results hold their image, to be drawn into.
      max_pixels: int; larger images are refused.
      top: int, classes in the answer of a classifier.
    """
    self.model, self.config, self.task = model, model.config, model.task
    self.batch_size = (model.batch_size or batch_size
                       or (8 if compat.has_gpu() else 1))
    self.class_names, self._category_map = model.class_names(label_map)
    self._load_options = dict(follow_exif=follow_exif, max_pixels=max_pixels)
    self._keep_images, self._top = keep_images, top

  def __call__(self, images: Any) -> Any:
    """Answers one image or several.

    Args:
      images: uint8 [height, width, 3], RGB; bytes of an image file; the name
        of one; or a list of these, of any sizes.

    Returns:
      A result of serving.results, or a list of them in the same order.

    Raises:
      InputError: for what is not an image; `index` is its place in the list.
    """
    is_list = isinstance(images, (list, tuple))
    answers = []
    for answer in self.stream(images if is_list else [images]):
      if isinstance(answer, InputError):
        raise answer
      answers.append(answer)
    return answers if is_list else answers[0]

  def stream(self, images: Iterable[Any]) -> Iterator[Any]:
    """Answers images as they come, decoding the next ones meanwhile.

    Args:
      images: iterable of what `__call__` takes.

    Yields:
      A result for each image, in order; instead of it the InputError of what
      is not an image.
    """
    with futures.ThreadPoolExecutor(_NUM_THREADS) as pool, (
        futures.ThreadPoolExecutor(_NUM_RUNS)) as runners:
      waiting, running = collections.deque(), collections.deque()
      numbered = enumerate(images)
      try:
        while True:
          for index, image in itertools.islice(
              numbered, 3 * self.batch_size + _NUM_THREADS - len(waiting)):
            waiting.append(pool.submit(self._prepare, index, image))
          batch = [waiting.popleft().result() for _ in range(
              min(self.batch_size, len(waiting)))]
          if batch:
            running.append(runners.submit(self._answer, batch))
          if len(running) == _NUM_RUNS or not batch:
            if not running:
              return
            yield from running.popleft().result()
      finally:
        for future in itertools.chain(waiting, running):
          future.cancel()

  def _prepare(self, index, image):
    """(upright image, prepared), or an InputError."""
    try:
      pixels = images_lib.load(image, **self._load_options)
    except InputError as e:
      return InputError(str(e), index)
    return pixels, self.model.prepare(pixels)

  def _answer(self, batch):
    """[result or InputError] of a batch of `_prepare`."""
    good = [item for item in batch if not isinstance(item, InputError)]
    rows = itertools.count()
    answers = self.model.run([prepared for _, prepared in good]) if good else {}
    return [item if isinstance(item, InputError)
            else self._result(answers, next(rows), item[0]) for item in batch]

  def _result(self, answers, row, image):
    of_image = dict(
        image_size=image.shape[:2], class_names=self.class_names,
        category_map=self._category_map,
        image=image if self._keep_images else None)
    if self.task == networks.CLASSIFICATION:
      return answers_lib.of_classification(answers, row, self._top, **of_image)
    if self.task == networks.SEGMENTATION:
      return answers_lib.of_segmentation(answers, row, **of_image)
    return answers_lib.of_detections(answers, row, self.model.mask_grid,
                                 **of_image)

  def raw(self, images: Sequence[Any]) -> Dict[str, np.ndarray]:
    """The arrays of the network, as one batch.

    Args:
      images: list of what `__call__` takes.

    Returns:
      {name: array [B, ...]}; see networks.outputs.

    Raises:
      InputError: as `__call__`.
    """
    prepared = []
    for index, image in enumerate(images):
      item = self._prepare(index, image)
      if isinstance(item, InputError):
        raise item
      prepared.append(item[1])
    parts = [self.model.run(prepared[i:i + self.batch_size])
             for i in range(0, len(prepared), self.batch_size)]
    return {name: np.concatenate([part[name] for part in parts])
            for name in parts[0]}

  def close(self) -> None:
    """Frees what the model holds."""
    self.model.close()
