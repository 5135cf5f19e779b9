"""Published speeds of training, and what a plan says about them.

Work of an image: compiled training steps of the table in docs/tpu_check.md
(RetinaNet at 640, Mask R-CNN at 1024, which has as many pixels as the 800 x
1333 of MLPerf), or estimates from it as tools.pods.costs makes them. Models
and code of others: no plan can be exact, but the parts can be compared.
"""

from typing import List, NamedTuple

from tools.pods import machines
from tools.pods import planning


def _work(gigaflops, gigabytes, million_params):
  return planning.Work(gigaflops * 1e9, gigabytes * 1e9, million_params * 4e6,
                       0., 0., 0.)


_MASK_RCNN = _work(1592., 14.25, 45.)
# ResNet-101 adds 78 G multiply-adds and 19 M parameters to ResNet-50 at 1024.
_MASK_RCNN_101 = _work(2060., 18.3, 64.)
_RESNET_50 = _work(24.2, .269, 25.6)
# A quarter of the pixels of RetinaNet at 640.
_RETINANET_320 = _work(144., .83, 34.)


class Speed(NamedTuple):
  """One published training speed.

  Attributes:
    name: name of the model.
    topology: for machines.parse.
    batch: images of a step.
    images_per_second: published.
    work: planning.Work, as ours.
    source: where it was published.
  """
  name: str
  topology: str
  batch: int
  images_per_second: float
  work: planning.Work
  source: str


_LOG = 'MLPerf Training %s, log of %s'
_EXAMPLES = 'NVIDIA DeepLearningExamples, TF 1, mixed precision'
SPEEDS = (
    Speed('Mask R-CNN R101', 'v3:2x2', 64, 66., _MASK_RCNN_101,
          'upstream, ShapeMask comparison, with start-up'),
    Speed('Mask R-CNN', 'v3:16x32', 256, 9400., _MASK_RCNN,
          _LOG % ('0.7', 'Google')),
    Speed('Mask R-CNN', 'v4:2x2x2', 128, 295., _MASK_RCNN,
          _LOG % ('0.7', 'Google')),
    Speed('Mask R-CNN', 'v4:4x4x4', 256, 2760., _MASK_RCNN,
          _LOG % ('0.7', 'Google')),
    Speed('Mask R-CNN', 'v4:8x8x16', 256, 21900., _MASK_RCNN,
          _LOG % ('1.0', 'Google')),
    Speed('ResNet-50', 'v3:32x32', 32768, 1.05e6, _RESNET_50,
          'Ying et al., arXiv:1811.06992'),
    Speed('Mask R-CNN', 'v100:8', 48, 202., _MASK_RCNN,
          _LOG % ('0.7', 'NVIDIA')),
    Speed('Mask R-CNN', 'a100:8', 64, 402., _MASK_RCNN,
          _LOG % ('0.7', 'NVIDIA')),
    Speed('Mask R-CNN', 'a100:8', 96, 561., _MASK_RCNN,
          _LOG % ('1.0', 'NVIDIA')),
    Speed('Mask R-CNN', 'h100:8', 96, 1490., _MASK_RCNN,
          _LOG % ('3.1', 'NVIDIA')),
    Speed('Mask R-CNN', 'h100:384', 256, 24000., _MASK_RCNN,
          _LOG % ('3.1', 'NVIDIA')),
    Speed('ResNet-50', 'v100:8', 2048, 9510., _RESNET_50, _EXAMPLES),
    Speed('ResNet-50', 'a100:8', 2048, 17400., _RESNET_50, _EXAMPLES),
    Speed('Mask R-CNN', 'v100:8', 32, 62.8, _MASK_RCNN, _EXAMPLES),
    Speed('Mask R-CNN', 'a100:8', 32, 132., _MASK_RCNN, _EXAMPLES),
    Speed('SSD 320, as RetinaNet', 'v100:8', 256, 677., _RETINANET_320,
          _EXAMPLES),
    Speed('SSD 320, as RetinaNet', 'a100:8', 256, 1008., _RETINANET_320,
          _EXAMPLES),
)


class Comparison(NamedTuple):
  """A plan next to a published speed.

  Attributes:
    bound: images a second by computing and memory traffic at the peak.
    reached: the part of the bound that was published.
    planned: images a second.
    ratio: planned to published.
  """
  bound: float
  reached: float
  planned: float
  ratio: float


def compare(speed: Speed) -> Comparison:
  """What a plan without an input limit says about a published speed."""
  plan = planning.make(machines.parse(speed.topology), speed.work, speed.batch)
  bound = speed.batch / max(plan.computing, plan.memory)
  return Comparison(bound, speed.images_per_second / bound,
                    plan.images_per_second,
                    plan.images_per_second / speed.images_per_second)


def table() -> List[str]:
  """The comparisons as the lines of a Markdown table."""
  lines = ['| trained | on | batch | published, images/s | bound | reached '
           '| plan | plan : published | source |', '|---' * 9 + '|']
  for speed in SPEEDS:
    found = compare(speed)
    lines.append('| %s | `%s` | %d | %s | %s | %.2f | %s | %.2f | %s |' % (
        speed.name, speed.topology, speed.batch,
        format(int(speed.images_per_second), ','),
        format(int(round(found.bound)), ','), found.reached,
        format(int(round(found.planned)), ','), found.ratio, speed.source))
  return lines
