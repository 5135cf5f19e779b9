"""What an image and a step of a configuration cost.

Operations come from the model's own count, bytes of memory from a compiled
program where there is one (`tools.tpu_check --topology --json`), else from the
bytes per operation that compiled programs of the same family had, see the table
of docs/tpu_check.md.
"""

import collections
from typing import Any, Dict, NamedTuple, Optional, Tuple

from configs import base
from tools.pods import planning


class Family(NamedTuple):
  """Figures of compiled training steps with ResNet-50, bfloat16.

  Attributes:
    flops_per_multiply_add: operations of training for a multiply-add of the
      prediction graph: 2, times 3 for both gradients. ShapeMask trains fewer
      masks of an image than it predicts.
    bytes_per_flop: moved for each operation.
    input_ms: on TensorFlow 1.15 and 2.15: CPU ms per million pixels of the
      network's input, without decoding JPEG and masks; docs/benchmarks.md has
      them; classification took 3.0 ms at 224 pixels on TensorFlow 2.15.
    num_images: size of the usual training set.
    mask_ms: milliseconds for the PNG masks of an image with 6.9 objects.
  """
  flops_per_multiply_add: float
  bytes_per_flop: float
  input_ms: Tuple[float, float]
  mask_ms: float = 0.
  num_images: int = 118287  # COCO train2017


FAMILIES = {
    'retinanet': Family(6., .0058, (12., 6.8)),
    'mask_rcnn': Family(6., .0089, (15.5, 9.3), 4.1),
    'shapemask': Family(2.3, .0057, (15.5, 9.3), 4.1),
    'classification': Family(6., .0111, (38., 38.),
                             num_images=1281167),  # ImageNet
    'segmentation': Family(6., .0089, (12., 6.8)),
}
# Against the bytes per operation of ResNet-50; others count as ResNet.
BACKBONE_TRAFFIC = {'spinenet': 1.55}
JPEG_MS = 1.1  # 640 x 480 pixels
RECORD_BYTES = 75e3  # of such a file


def input_ms(model: str, pixels: int, is_tf2: bool) -> float:
  """CPU milliseconds in which a core makes an image, an estimate.

  Args:
    model: key of FAMILIES.
    pixels: int, of the network's input.
    is_tf2: whether it is TensorFlow 2.15.

  Returns:
    float.
  """
  family = FAMILIES[model]
  return JPEG_MS + family.mask_ms + family.input_ms[is_tf2] * pixels / 1e6


def of_program(report: Dict[str, Any], device: str) -> Dict[str, float]:
  """What a report of tools.tpu_check says about an image.

  Args:
    report: content of its --json file.
    device: kind of machine, such as 'v3'; programs for it come first.

  Returns:
    dict with flops, moved_bytes, infeed_bytes, and gradient_bytes if the
    program was compiled for several replicas and says so.

  Raises:
    ValueError: if it has no compiled program.
  """
  programs = [program for program in report.get('programs', ())
              if 'figures' in program]
  if not programs:
    raise ValueError('--report: it has no compiled program; tools.tpu_check '
                     'writes one with --topology=v3:2x2 --json=FILE.')
  programs.sort(key=lambda p: not p['topology'].startswith(device + ':'))
  program = programs[0]
  figures, batch = program['figures'], float(program['batch'])
  found = {'flops': figures['flops'] / batch,
           'moved_bytes': figures['moved_bytes'] / batch,
           'infeed_bytes': figures['infeed_bytes'] / batch}
  sums = program['program'].get('collective_bytes', 0)
  if program['replicas'] > 1 and sums:
    found['gradient_bytes'] = float(sums)
  return found


def infeed_bytes(config: base.Config, wants_tpu: bool) -> int:
  """Bytes of an image and its labels, as the input pipeline sends them."""
  import tensorflow.compat.v1 as tf

  from tools.tpu import check
  from tools.tpu import steps
  spec = steps.input_spec(check.for_tpu(config) if wants_tpu else config,
                          'train', 1)
  return sum(one.shape.num_elements() * one.dtype.size
             for one in tf.nest.flatten(spec))


def work(config: base.Config, wants_tpu: bool, is_tf2: bool, device: str,
         report: Optional[Dict[str, Any]] = None,
         **given: Optional[float]) -> planning.Work:
  """What an image and a step cost.

  Args:
    config: an experiment of configs.factory.
    wants_tpu: whether the machine is a TPU.
    is_tf2: whether the hosts run TensorFlow 2.15.
    device: see `of_program`.
    report: see there; None: estimates.
    **given: fields of planning.Work that are known better; None: they are not.

  Returns:
    planning.Work.

  Raises:
    ValueError: see `of_program`.
  """
  from modeling import statistics
  family = FAMILIES[config.type]
  counted = statistics.model_statistics(config)
  height, width = statistics.input_size(config)
  flops = counted.flops * family.flops_per_multiply_add
  bytes_per_flop = family.bytes_per_flop * BACKBONE_TRAFFIC.get(
      config.architecture.backbone, 1.)
  values = collections.OrderedDict([
      ('flops', flops), ('moved_bytes', flops * bytes_per_flop),
      ('gradient_bytes', 4. * counted.params),
      ('infeed_bytes', float(infeed_bytes(config, wants_tpu))),
      ('input_ms', input_ms(config.type, height * width, is_tf2)),
      ('record_bytes', RECORD_BYTES)])
  sources = ['operations: %g per multiply-add of the prediction graph; memory '
             'traffic: %.2g bytes per operation, as programs like it have' % (
                 family.flops_per_multiply_add, bytes_per_flop)]
  if report is not None:
    values.update(of_program(report, device))
    sources = ['operations and memory traffic: the compiled program']
  known = {key: value for key, value in given.items() if value is not None}
  values.update(known)
  sources.append('input: %s' % (
      'measured, or as given' if 'input_ms' in known else
      'an estimate for TensorFlow %s from docs/benchmarks.md' % (
          '2.15' if is_tf2 else '1.15')))
  return planning.Work(sources=sources, **values)
