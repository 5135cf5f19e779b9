"""Lowers the training step of every row of the model zoo.

  make tpu-check-all
  python -m tools.tpu.zoo --rows=spinenet     # some, only printed

Each at its configured size, with one image, as tools.tpu_check does. A row is
saved as soon as it is done, and not done again unless --fresh; the table goes
between two markers of docs/tpu_check.md. Exit code 1 if a row does not lower.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from typing import Any, Dict, Mapping, Optional, Sequence

from configs import factory
from tools import model_zoo
from tools.common import config_arguments
from tools.zoo import rows as zoo_rows
from utils import files

BEGIN = '<!-- zoo table: made by make tpu-check-all -->'
END = '<!-- end of the zoo table -->'


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.tpu.zoo', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--rows', metavar='REGEX',
                      help='only the rows whose file name matches; print the '
                           'result without writing the page')
  parser.add_argument('--output', metavar='FILE.md',
                      default='docs/tpu_check.md',
                      help='page with the markers (default: %(default)s)')
  parser.add_argument('--results', metavar='FILE.jsonl',
                      default='.setup/tpu_check_all.jsonl',
                      help='a line for every row that is done, to resume from '
                           'after an interruption (default: %(default)s)')
  parser.add_argument('--fresh', action='store_true',
                      help='do all rows again: the code has changed')
  return parser.parse_args(argv)


def check(row: zoo_rows.Row) -> Dict[str, Any]:
  """Lowers the training step of a row.

  Args:
    row: zoo_rows.Row.

  Returns:
    {'config_file', 'size', 'instructions', 'infeed_bytes', 'seconds',
    'problems'}.
  """
  from modeling import statistics
  from tools.tpu import check as checks
  from tools.tpu import environments
  from tools.tpu import report
  began = time.time()
  result: Dict[str, Any] = {'config_file': row.config_file}
  path = os.path.join(model_zoo.EXPERIMENTS, row.config_file)
  try:
    config, _ = factory.load_config(None, path)
    result['size'] = list(statistics.input_size(config))
    with tempfile.TemporaryDirectory() as folder:
      found = checks.Check(checks.for_tpu(config), folder).lower('train', 1)
  except (OSError, ValueError, environments.ToolError) as e:
    return dict(result, problems=['not built: %s' % e])
  return dict(result, instructions=found.get('instructions'),
              infeed_bytes=found['infeed_bytes'],
              seconds=round(time.time() - began, 1),
              problems=report.lowering_problems(found))


def check_all(rows: Sequence[zoo_rows.Row], results_file: str,
              fresh: bool) -> Dict[str, Dict[str, Any]]:
  """Lowers rows, and shows and saves each as it is done.

  Args:
    rows: [zoo_rows.Row].
    results_file: JSON lines.
    fresh: whether to begin with none.

  Returns:
    {config_file: result of `check`}.
  """
  results = {}
  if os.path.exists(results_file) and not fresh:
    with open(results_file) as f:
      results = {result['config_file']: result for result in map(json.loads, f)}
  os.makedirs(os.path.dirname(os.path.abspath(results_file)), exist_ok=True)
  with open(results_file, 'w' if fresh else 'a') as f:
    for row in rows:
      if results.get(row.config_file, {}).get('problems', True):
        result = results[row.config_file] = check(row)
        f.write(json.dumps(result) + '\n')
        f.flush()
      print(_line(results[row.config_file]))
  return {row.config_file: results[row.config_file] for row in rows}


def _line(result):
  return '%-60s %s' % (result['config_file'],
                       '; '.join(result['problems']) or 'lowers')


def table(rows: Sequence[zoo_rows.Row],
          results: Mapping[str, Dict[str, Any]]) -> str:
  """The table of the page.

  Args:
    rows: [zoo_rows.Row].
    results: {config_file: result of `check`}; some may be missing.

  Returns:
    str, Markdown.
  """
  lines = ['| configuration | input | HLO instructions | infeed, MB | result |',
           '|---|---|---|---|---|']
  for row in rows:
    result = results.get(row.config_file, {'problems': ['not checked yet']})
    if result['problems']:
      lines.append('| `%s` | | | | %s |' % (
          row.config_file, '; '.join(result['problems'])))
    else:
      lines.append('| `%s` | %d x %d | %d | %.2f | lowers |' % (
          (row.config_file,) + tuple(result['size']) +
          (result['instructions'], result['infeed_bytes'] / 1e6)))
  return '\n'.join(lines)


def replace_between_markers(text: str, content: str) -> str:
  """The text with other content between BEGIN and END.

  Raises:
    ValueError: if the markers are not there, once each and in this order.
  """
  parts = re.split('(%s|%s)' % (re.escape(BEGIN), re.escape(END)), text)
  if [part for part in parts if part in (BEGIN, END)] != [BEGIN, END]:
    raise ValueError('the lines %r and %r must be there once each, in this '
                     'order.' % (BEGIN, END))
  return '%s%s\n\n%s\n\n%s%s' % (parts[0], BEGIN, content, END, parts[4])


def main(argv: Optional[Sequence[str]] = None) -> int:
  arguments = parse_arguments(argv)
  config_arguments.start_tensorflow()
  rows = [row for row in zoo_rows.ROWS
          if re.search(arguments.rows or '', row.config_file)]
  results = check_all(rows, arguments.results, arguments.fresh)
  if not arguments.rows:
    with open(arguments.output, encoding='utf-8') as f:
      text = f.read()
    files.write_atomically(
        arguments.output, replace_between_markers(text, table(rows, results)))
  return 1 if any(result['problems'] for result in results.values()) else 0


if __name__ == '__main__':
  sys.exit(main())
