"""What the tests of the parsers of detectors share."""

import collections
import types

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import draws as draws_lib
from dataloader import factory
from dataloader import labellers
from ops import anchors as anchor_ops
from tests import golden
from tests import graphs
from tests.dataloader import fixed_draws
from utils import modes

# Records of the reference; the cases of parsers are named after them.
RECORDS = {c.name: c.inputs['serialized'].tobytes()
           for c in golden.load_cases('examples_decoder')}


_OF_ANCHORS = ('min_level', 'max_level', 'num_scales', 'aspect_ratios',
               'anchor_size')


def run(parser, serialized, seed=None, draws=None):
  """(image, labels) of a record as arrays.

  Args:
    parser: Parser; equal ones of `build` have one graph.
    serialized: bytes, or a pair of them.
    seed: (int, int).
    draws: FixedDraws, instead of those of the seed; or a function that makes
      other ones.
  """
  values = {'record%d' % i: one for i, one in enumerate(
      serialized if isinstance(serialized, tuple) else [serialized])}
  if seed is not None:
    values['seed'] = seed
  if isinstance(draws, fixed_draws.FixedDraws):
    values.update(draws.values())

  def build_graph():
    fed = {name: _placeholder(name, value) for name, value in values.items()}
    records = tuple(fed['record%d' % i] for i in range(2)
                    if 'record%d' % i in fed)
    drawn = draws
    if isinstance(draws, fixed_draws.FixedDraws):
      drawn = fixed_draws.FixedDraws.of_values(
          {name: fed[name] for name in draws.values()})
    elif draws is not None:
      drawn = draws()
    parsed = parser(records if len(records) > 1 else records[0],
                    seed=fed.get('seed'), draws=drawn)
    if isinstance(parsed, dict):
      parsed = parsed['images'], parsed['labels']
    return fed, parsed

  # The graph optimizer reorders products, which changes the last bit of boxes,
  # and with it which of two equally good anchors is taken.
  config = tf.ConfigProto()
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  is_shared = hasattr(parser, 'key') and not callable(draws)
  if not is_shared:
    return graphs.Graph(build_graph, config).run(**values)
  key = parser.key, sorted((name, np.shape(value))
                           for name, value in values.items())
  return graphs.shared(key, build_graph, config).run(**values)


def _placeholder(name, value):
  if name.startswith('record'):
    return tf.placeholder(tf.string, [])
  return tf.placeholder(tf.int64 if name == 'seed' else tf.float32,
                        np.shape(value))


def run_seeds(parser, serialized, seeds):
  """[(image, labels)] of a record for each of the seeds.

  Args:
    parser: Parser of `build`, so that there is one graph for all.
    serialized: bytes.
    seeds: [(int, int)].
  """
  return [run(parser, serialized, seed=seed) for seed in seeds]


def build(name, section, mode, anchors, emit_anchor_boxes=False, **arguments):
  """Parser of dataloader.factory, which `run` knows again.

  Args:
    name, section, anchors, **arguments: of `config`; anchors: or None.
    mode: of utils.modes.
    emit_anchor_boxes: see `with_anchor_boxes`.
  """
  parser = factory.build_parser(
      config(name, section, anchors, **arguments), mode)
  if emit_anchor_boxes:
    parser = with_anchor_boxes(parser, anchors)
  parser.key = (name, sorted(section.items()), mode,
                anchors and [getattr(anchors, key) for key in _OF_ANCHORS],
                emit_anchor_boxes,
                sorted(arguments.items()))
  return parser


def config(name, section, anchors=None, num_classes=91, dtype='float32',
           skip_eval_loss=False, **architecture):
  """What dataloader.factory reads of an experiment.

  Args:
    name: of the parser and its section.
    section: {key: value}.
    anchors: AnchorGenerator, of a parser of objects.
    num_classes: int.
    dtype: of the image.
    skip_eval_loss: key of that name in section `eval`.
    **architecture: more keys of that section.
  """
  result = types.SimpleNamespace(
      type='retinanet',  # which has no parser of its own
      eval=types.SimpleNamespace(skip_eval_loss=skip_eval_loss),
      architecture=types.SimpleNamespace(
          parser=name, num_classes=num_classes,
          use_bfloat16=dtype == 'bfloat16', clip_boxes_to_border=False,
          **architecture))
  setattr(result, name, types.SimpleNamespace(**section))
  if anchors is not None:
    result.anchor = anchors
    result.architecture.min_level = anchors.min_level
    result.architecture.max_level = anchors.max_level
  return result


def with_anchor_boxes(parser, anchors):
  """The parser, whose labels now hold the anchors as well."""
  size = parser.padding_example()
  size = (size['images'] if isinstance(size, dict) else size[0]).shape[:2]
  parser.labeller = labellers.Labels(
      parser.labeller, labellers.AnchorBoxes(anchors.boxes(size.as_list())))
  return parser


def names_of_steps(parser):
  return [getattr(step, 'func', step).__name__ for step in parser.steps]


def record(case):
  """The record that a case parses."""
  return RECORDS[_record_name(case)]


def _record_name(case):
  return max((n for n in RECORDS if case.name.startswith(n)), key=len)


def mode(case):
  return case.params.get('mode', modes.PREDICT)


def anchors(case):
  """The AnchorGenerator of a case."""
  return anchor_ops.AnchorGenerator(*[case.params[k] for k in _OF_ANCHORS])


def dtype(case):
  return 'bfloat16' if case.params['use_bfloat16'] else 'float32'


# Parameters of cases that are no keys of a section: of the anchors, of the
# parser itself, and what the reference drew.
_OTHER_PARAMETERS = frozenset([
    'min_level', 'max_level', 'num_scales', 'aspect_ratios', 'anchor_size',
    'mode', 'use_bfloat16', 'include_mask', 'flip_u', 'random_scale',
    'offset_fraction'])


def of_section(case, section):
  """The parameters of a case that are keys of the parser's section."""
  unknown = set(case.params) - set(section) - _OTHER_PARAMETERS
  assert not unknown, unknown
  values = {k: tuple(v) if isinstance(v, list) else v
            for k, v in case.params.items() if k in section}
  return dict(values, **jitter(case.params))


def jitter(params):
  """The keys with which a scale is drawn, if the reference drew one."""
  if params.get('random_scale') is None:
    return {}
  return {'aug_scale_min': .5, 'aug_scale_max': 2.}


def changes(case, section, case_mode=None):
  """`of_section`, and what the reference does without a key.

  In an evaluation the reference's targets hold crowds whatever that key says.
  """
  values = of_section(case, section)
  if (case_mode or mode(case)) != modes.TRAIN:
    values['skip_crowd_during_training'] = False
  return values


def draws(case):
  """FixedDraws of what the reference was given."""
  params = case.params
  values = {'flip': params.get('flip_u', 0.)}
  if 'random_scale' in params:
    values.update(scale=params['random_scale'],
                  offset=params['offset_fraction'])
  if params.get('aug_policy'):
    values.update(sub_policy=0., sign=.9, apply=.9999, position=.4)
  return fixed_draws.FixedDraws(**values)


# The random numbers of the geometry of an image.
Geometry = collections.namedtuple('Geometry', 'flip scale offset')


def geometry(seed, scale_min, scale_max):
  """Geometry that is drawn from a seed."""
  of_image = draws_lib.Draws(seed)
  return Geometry(of_image.uniform('flip'),
                  of_image.uniform('scale', low=scale_min, high=scale_max),
                  of_image.uniform('offset', [2]))


def check(case, image, labels, expected=None):
  """Compares the result of a parser with a case of the reference.

  Args:
    case: of a golden file.
    image: array.
    labels: nest of arrays.
    expected: {path of the label: array}, instead of those of the case.
  """
  name = _record_name(case)
  if 'image' in case.outputs or 'image_same_as_eval' in case.outputs:
    _check_image(case, image, name)
  if expected is None:
    expected = {k[len('labels.'):]: v for k, v in case.outputs.items()
                if k.startswith('labels.')}
  for key, value in expected.items():
    if key == 'groundtruths.areas' and 'missing_optional' in name:
      # Pixels here, although the record has no size (Q1 of the spec).
      value = np.where(value < 0, value, value * np.prod(labels[
          'image_info'][0])).astype(value.dtype)
    check_array(lookup(labels, key), value, case.meta['tolerance'], key)


def check_array(actual, expected, tolerance, name):
  """Compares numbers within an absolute tolerance, whole ones exactly."""
  assert actual.dtype == expected.dtype, name
  if not np.issubdtype(expected.dtype, np.floating):
    tolerance = 0
  assert actual.shape == expected.shape, name
  np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance,
                             err_msg=name)


def _check_image(case, image, name):
  same_as = case.outputs.get('image_same_as_eval')
  expected = case.outputs.get('image')
  if same_as is not None:
    # The first case of the record; ShapeMask's has no mode EVAL.
    arrays = case.meta['all_arrays']
    expected = arrays.get(name + '_eval', arrays.get(name + '_predict'))[
        'out']['image']
  # bfloat16 has 8 bits; the last one may be rounded the other way.
  rtol = 0. if image.dtype == np.float32 else 2**-7
  np.testing.assert_allclose(image.astype(np.float32), expected, rtol,
                             case.meta['tolerance'])


def lookup(labels, key):
  """labels['cls_targets'][3] for 'cls_targets.L3'."""
  for part in key.split('.'):
    is_level = part[0] == 'L' and part[1:].isdigit()
    labels = labels[int(part[1:]) if is_level else part]
  return labels


def check_spec(parser, serialized):
  """Compares what a parser emits, for records and padding, with its spec."""
  spec = parser.labels_spec()
  parsed = parser(tf.constant(serialized), seed=tf.constant([1, 2]))
  padding = parser.padding_example()
  tf.nest.assert_same_structure(parsed, padding)
  for one in (parsed, padding):
    labels = one['labels'] if isinstance(one, dict) else one[1]
    tf.nest.assert_same_structure(spec, labels)
    for expected, tensor in zip(tf.nest.flatten(spec),
                                tf.nest.flatten(labels)):
      assert expected.dtype == tensor.dtype
      assert expected.shape.as_list() == tensor.shape.as_list()
