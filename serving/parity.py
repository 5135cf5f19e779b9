"""Whether an export gives what the checkpoint gives that it was made of.

The checkpoint answers in this process, through the host's preparation of images
and NumPy; the export answers in a process of its own, through everything that
is inside of its graph.
"""

import collections
import io
import os
import pickle
import subprocess
import sys
import tempfile
from typing import (
  Any,
  Callable,
  Dict,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
)

import numpy as np
from PIL import Image

from serving import answers as answers_lib
from serving import checkpoint_model
from serving import images as images_lib
from serving import input_types
from serving import networks
from serving import segmentation_outputs
from serving import signatures
from utils import fields
from utils import masks as mask_utils


class Difference(NamedTuple):
  """How far apart two answers are.

  Attributes:
    name: key of the signature.
    greatest: the greatest difference; of masks and label maps the greatest
      share of pixels that differ, of an object or an image.
    allowed: the largest difference that is allowed.
  """
  name: str
  greatest: float
  allowed: float


# What float32 arithmetic in another order may change.
TOLERANCES = {
    fields.NUM_DETECTIONS: 0., fields.DETECTION_CLASSES: 0.,
    fields.DETECTION_BOXES: .02, fields.DETECTION_OUTER_BOXES: .02,
    fields.DETECTION_SCORES: 1e-4, fields.DETECTION_MASKS: 2e-3,
    signatures.PASTED_MASKS: 2e-3, fields.RAW_BOXES: .02,
    fields.RAW_ENCODED_BOXES: 1e-3, fields.RAW_SCORES: 1e-4,
    fields.LOGITS: 1e-3, networks.PROBABILITIES: 1e-4, fields.CLASSES: 0.,
    fields.MASKS: 1e-3, networks.PIXEL_SCORES: 1e-3, fields.IMAGE_INFO: 1e-3,
    segmentation_outputs.CATEGORY_BYTES: 1e-3,
    segmentation_outputs.SCORE_BYTES: 2.}
_NORMALIZED_BOXES = 1e-4  # instead of pixels
_BY_OBJECT = (fields.DETECTION_BOXES, fields.DETECTION_CLASSES,
              fields.DETECTION_SCORES, fields.DETECTION_MASKS,
              fields.DETECTION_OUTER_BOXES, signatures.PASTED_MASKS)
_SHARES = (signatures.PASTED_MASKS, fields.MASKS,
           segmentation_outputs.CATEGORY_BYTES)
_TIE = 1e-4  # objects whose scores differ by less may change places
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ParityError(ValueError):
  """An export gives something else than its checkpoint."""


def made_images(the_plan: Any) -> List[bytes]:
  """Encoded images of odd kinds, for which a plan's inputs have to agree.

  Args:
    the_plan: export.Plan.

  Returns:
    [bytes]; a JPEG that lies on its side and notes so, a grey PNG, a JPEG; of
    the size that is fed where pixels are fed.
  """
  height, width = the_plan.spec.size
  rng = np.random.RandomState(0)

  def pixels(rows, columns):
    coarse = rng.randint(0, 256, [-(-rows // 24), -(-columns // 24), 3])
    image = np.repeat(np.repeat(coarse, 24, axis=0), 24, axis=1)
    noise = rng.randint(-16, 17, [rows, columns, 3])
    return np.clip(image[:rows, :columns] + noise, 0, 255).astype(np.uint8)

  if the_plan.input_type in (input_types.IMAGE_TENSOR,
                             input_types.RAW_IMAGE_TENSOR):
    return [_encoded(pixels(height, width), 'png') for _ in range(2)]
  exif = Image.Exif()
  exif[0x0112] = 6
  return [_encoded(pixels(height * 3 // 4, width), 'jpeg', exif=exif),
          _encoded(pixels(height // 2 + 1, width * 2 // 3)[:, :, 0], 'png'),
          _encoded(pixels(height + 17, width + 40), 'jpeg')]


def _encoded(pixels, image_format, **options):
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, image_format, **options)
  return stream.getvalue()


def expected(the_plan: Any,
             images: Sequence[bytes]) -> List[Dict[str, np.ndarray]]:
  """What the checkpoint gives, under the keys of the export's signatures.

  Args:
    the_plan: export.Plan.
    images: [bytes].

  Returns:
    [{key: array}] of each image, without the dimension of the batch; boxes
    [N, 4] in `options.coordinates`. Segmentation: those of both signatures.
  """
  model = checkpoint_model.CheckpointModel(
      the_plan.config, the_plan.checkpoint, the_plan.spec)
  follow_exif = (the_plan.follow_exif and
                 the_plan.input_type == input_types.IMAGE_BYTES)
  answers = []
  for image in images:
    answer = model.run([model.prepare(images_lib.load(image, follow_exif))])
    answers.append(_of_signature(
        the_plan, {name: value[0] for name, value in answer.items()}, model))
  model.close()
  return answers


def _of_signature(the_plan, answer, model):
  """What a graph should make of the outputs of the network for an image."""
  options, info = the_plan.options, answer[fields.IMAGE_INFO]
  if model.task == networks.SEGMENTATION:
    result = answers_lib.of_segmentation(
        {name: value[np.newaxis] for name, value in answer.items()}, 0,
        image_size=info[0], class_names={})
    answer[segmentation_outputs.CATEGORY_BYTES] = result.label_map
    answer[segmentation_outputs.SCORE_BYTES] = np.floor(255. * result.scores)
    return answer
  if the_plan.paste_masks:
    answer[signatures.PASTED_MASKS] = _pasted(answer, model.mask_grid)
    del answer[fields.DETECTION_MASKS]
  divisor = {signatures.MODEL: np.ones([2]), signatures.IMAGE: info[2],
             signatures.NORMALIZED: info[2] * info[0]}[options.coordinates]
  for name in signatures.converted_boxes(options.coordinates):
    if name in answer:
      answer[name] = answer[name] / np.tile(divisor, 2).astype(np.float32)
  if not options.image_info or model.task == networks.CLASSIFICATION:
    del answer[fields.IMAGE_INFO]
  return answer


def _pasted(answer, grid):
  boxes = answer.get(fields.DETECTION_OUTER_BOXES,
                     answer[fields.DETECTION_BOXES])
  y0, x0, y1, x1 = np.moveaxis(
      boxes / np.tile(answer[fields.IMAGE_INFO][2], 2), -1, 0)
  height, width = np.round(answer[fields.IMAGE_INFO][0]).astype(int)
  return mask_utils.paste_masks(
      answer[fields.DETECTION_MASKS],
      np.stack([x0, y0, x1 - x0, y1 - y0], axis=-1), height, width, grid)


def answers_of_export(
    folder: str, images: Any, python: str = sys.executable,
    module: str = 'serving.run_export') -> List[Dict[str, np.ndarray]]:
  """What an export gives, in a process of its own.

  Args:
    folder: folder of the export.
    images: [bytes], or what else the module takes.
    python: interpreter that has what the export needs.
    module: run as `python -m MODULE FOLDER IMAGES ANSWERS`; the files hold
      the pickled list of images and one of {key: array}.

  Returns:
    [{key: array}], of each image.

  Raises:
    ParityError: if the process fails, with what it said.
  """
  with tempfile.TemporaryDirectory() as temporary:
    paths = [os.path.join(temporary, name) for name in ('images', 'answers')]
    with open(paths[0], 'wb') as f:
      pickle.dump(list(images), f, protocol=4)
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL='3')
    done = subprocess.run(
        [python, '-m', module, folder] + paths, cwd=_ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
      lines = done.stdout.decode('utf-8', 'replace').strip().splitlines()
      raise ParityError('The export %s cannot be run: %s' % (
          folder, lines[-1] if lines else 'exit code %d' % done.returncode))
    with open(paths[1], 'rb') as f:
      return pickle.load(f)


def compare(
    wanted: Sequence[Mapping[str, np.ndarray]],
    found: Sequence[Mapping[str, np.ndarray]],
    coordinates: str = signatures.MODEL,
    tolerances: Optional[Mapping[str, float]] = None) -> List[Difference]:
  """The differences of all outputs.

  Args:
    wanted: result of `expected`.
    found: [{key: array}], likewise.
    coordinates: one of signatures.COORDINATES.
    tolerances: {key: float} instead of those of TOLERANCES.

  Returns:
    [Difference], in order of their names. An output that is missing, or is of
    another shape, differs infinitely.
  """
  allowed = dict(TOLERANCES)
  if coordinates == signatures.NORMALIZED:
    allowed.update({fields.DETECTION_BOXES: _NORMALIZED_BOXES,
                    fields.RAW_BOXES: _NORMALIZED_BOXES})
  allowed.update(tolerances or {})
  greatest = collections.defaultdict(float)
  for one, other in zip(wanted, found):
    other = _in_order(one, other)
    for name in other:
      if name in allowed:
        greatest[name] = max(greatest[name],
                             _difference(name, one.get(name), other[name]))
  return [Difference(name, greatest[name], allowed[name])
          for name in sorted(greatest)]


def _in_order(one, other):
  """The objects of an answer in the order of the other.

  Objects of almost the same score may change places.
  """
  boxes = fields.DETECTION_BOXES
  needed = {boxes, fields.NUM_DETECTIONS, fields.DETECTION_SCORES,
            fields.DETECTION_CLASSES}
  if not needed <= set(one) or not needed <= set(other) or (
      one[boxes].shape != other[boxes].shape):
    return other
  # What fills unused places is nobody's concern.
  count = int(one[fields.NUM_DETECTIONS])
  order, free = [], list(range(len(one[boxes])))
  for row in range(count):
    scores = other[fields.DETECTION_SCORES][free]
    distances = np.abs(other[boxes][free] - one[boxes][row]).max(axis=1)
    distances += np.where(np.abs(
        scores - one[fields.DETECTION_SCORES][row]) < _TIE, 0., 1e6)
    distances += np.where(other[fields.DETECTION_CLASSES][free]
                          == one[fields.DETECTION_CLASSES][row], 0., 1e6)
    order.append(free.pop(int(distances.argmin()) if distances.min() < 1e6
                          else 0))
  return {name: value[order] if name in _BY_OBJECT else value
          for name, value in other.items()}


def _difference(name, one, other):
  if one is None:
    return np.inf
  one, other = np.asarray(one), np.asarray(other)
  if name in _BY_OBJECT:
    one = one[:len(other)]
  if one.shape != other.shape:
    return np.inf
  if not one.size:
    return 0.
  if name in _SHARES:
    differs = (one != other).reshape([
        len(one) if name == signatures.PASTED_MASKS else 1, -1])
    return float(differs.mean(axis=1).max())
  # What is not a number in both of them is the checkpoint's matter.
  difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
  difference = np.where(np.isnan(one) & np.isnan(other), 0., difference)
  return float(np.where(np.isnan(difference), np.inf, difference).max())


def lines(differences: Sequence[Difference]) -> List[str]:
  """[text]: the table of the differences."""
  return ['%-24s %12s %12s' % ('output', 'difference', 'allowed')] + [
      '%-24s %12.3g %12.3g%s' % (d.name, d.greatest, d.allowed,
                                 '' if d.greatest <= d.allowed else '  <--')
      for d in differences]


def check(the_plan: Any, folder: str,
          images: Optional[Sequence[bytes]] = None,
          tolerances: Optional[Mapping[str, float]] = None,
          write: Callable[[str], Any] = print,
          comparison: Callable[..., List[Difference]] = compare
          ) -> List[Difference]:
  """Compares an export with its checkpoint.

  Args:
    the_plan: export.Plan.
    folder: folder of the export.
    images: [bytes]; None: `made_images`.
    tolerances: {key: float} instead of those of TOLERANCES.
    write: function of a line.
    comparison: stands in for `compare`.

  Returns:
    [Difference].

  Raises:
    ParityError: if an output differs by more than is allowed.
  """
  images = images or made_images(the_plan)
  found = answers_of_export(folder, images)
  return settle(comparison(expected(the_plan, images), found,
                           the_plan.options.coordinates, tolerances),
                len(images), write)


def settle(differences: List[Difference], count: int,
           write: Callable[[str], Any] = print) -> List[Difference]:
  """Reports the differences.

  Args:
    differences: [Difference].
    count: int, of images.
    write: function of a line.

  Returns:
    The differences.

  Raises:
    ParityError: if an output differs by more than is allowed.
  """
  write('Checkpoint and export, %d images:' % count)
  for line in lines(differences):
    write(line)
  wrong = [d.name for d in differences if not d.greatest <= d.allowed]
  if wrong or not differences:
    raise ParityError(
        'The results of the export differ from those of the checkpoint: %s.'
        % (', '.join(wrong) or 'there is no output to compare'))
  return differences
