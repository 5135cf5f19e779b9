"""The text of docs/MODEL_ZOO.md."""

from typing import Any, Dict, List, Sequence, Tuple

from tools.zoo import rows as zoo_rows

_HEAD = """\
# Model zoo

<!-- Written by `python -m tools.model_zoo`; do not edit. -->

One row is one file below `configs/experiments/` and one command:

    python main.py --mode=train_and_eval --model_dir=/runs/NAME \\
        --config_file=configs/experiments/FILE \\
        --params_override="train.train_file_pattern=/data/train*"

*Parameters* (trainable, millions) and *multiply-adds* (billions, prediction
graph of one image with all heads, 1,000 RoIs and 100 masks) are counted from
the code of this repository by `python -m tools.model_zoo`, which fails if they
differ from the *published* figures next to them. The published figures come
from upstream's model zoo. *The accuracy is the published one; it was not
measured here.* In an empty cell, nothing is published. Training settings of
files below `zoo/` follow the published table where it states them (size,
epochs, when the learning rate falls, activation) and the published files
otherwise.
"""

_READINGS = """\
## Three rows with two readings

In three published rows, the published file does not give the published
figures, but another setting does. There is a file for each of the two readings;
a checkpoint fits only one of them. `python -m tools.inspect_checkpoint PATH`
lists the names and shapes in a checkpoint, and at the end the reading that they
match.
`python -m tools.import_checkpoint ARCHIVE` chooses automatically, see
[published_checkpoints.md](published_checkpoints.md).
"""
_READINGS_TABLE = (
    ('row', 'published file', 'the published figures fit', 'look for'),
    ('---',) * 4,
    ('RetinaNet ResNet-50-NAS-FPN', '`nasfpn.num_repeats` 5',
     '7 (parameters within 0.4 %)',
     'names `fpn_cells/cell_5/` and `cell_6/`: 7 cells'),
    ('RetinaNet SpineNet-49S', '`spinenet.endpoints_num_filters` 128',
     '256', 'the last dimension of `spinenet/conv2d_8/kernel`'),
    ('Mask R-CNN SpineNet-190', '`rpn_head.num_convs` 7', '1',
     'names `rpn_head/rpn-1/` to `rpn-6/`: 7 convolutions'))

_NOTES = """\
## Notes

* The published numbers of the two Pascal rows include the ImageNet head that
  upstream leaves, unused, in its EfficientNets: {heads} million parameters.
  The models here do not have it, and the difference in the table ignores it.
  Checkpoints with and without it can be loaded.
* ImageNet rows are published with one decimal, some of them up to 1.2 % below
  the figures of upstream's own code.
* For each row marked *other reading* there is another row that the figures fit.
"""

_COLUMNS = ('model', 'file', 'size', 'epochs', 'parameters', 'published',
            'difference', 'multiply-adds', 'published', 'difference',
            'published accuracy', 'as published')


def page(rows: Sequence[Tuple[zoo_rows.Row, Dict[str, Any], List[str]]]) -> str:
  """The page.

  Args:
    rows: [(zoo_rows.Row, result of model_zoo.count, problems)].

  Returns:
    Markdown text.
  """
  lines = [_HEAD]
  for section in zoo_rows.SECTIONS:
    of_section = [entry for entry in rows if entry[0].section == section]
    lines += ['## %s' % section, '', _line(_COLUMNS),
              _line(['---'] * len(_COLUMNS))]
    lines += [_line(_cells(*entry)) for entry in of_section]
    lines.append('')
  heads = ' and '.join('%.1f' % (row.unused_params / 1e6)
                       for row, _, _ in rows if row.unused_params)
  lines += [_READINGS] + [_line(row) for row in _READINGS_TABLE]
  return '\n'.join(lines + ['', _NOTES.format(heads=heads)])


def _line(cells):
  return '| %s |' % ' | '.join(cells)


def _cells(row, result, problems):
  counted = 'error' not in result
  verdict = 'yes' if row.params or row.flops else 'no figures'
  if problems:
    verdict = 'no: ' + '; '.join(problems)
  elif not row.fits:
    verdict = 'other reading'
  params = result.get('params', 0) / 1e6
  flops = result.get('flops', 0) / 1e9
  return [row.name, '`%s`' % row.config_file,
          '%d x %d' % tuple(result['size']) if counted else '', row.epochs,
          '%.3f' % params if counted else '', row.params,
          _difference(params + row.unused_params / 1e6, row.params, counted),
          '%.3f' % flops if counted else '', row.flops,
          _difference(flops, row.flops, counted), row.accuracy, verdict]


def _difference(value, printed, counted):
  """'+0.27 %', or '' where there is nothing to compare with."""
  if not printed or not counted:
    return ''
  return '%+.2f %%' % (100. * (value / float(printed) - 1.))
