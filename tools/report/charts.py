"""Curves as SVG, drawn by matplotlib, for pages that need no other file."""

import io
import logging
import math
import re
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import markupsafe
import numpy as np

# Dark enough for thin lines on white, each far from the ones before it.
COLORS = ('#1f4e8c', '#c2571a', '#2e7d4f', '#8a3f8f', '#b8860b', '#c2185b',
          '#0e8a93', '#6b4a2b', '#6b6b6b', '#5b7f12', '#7b68d8', '#d0342c')
_DASHES = ('', '6 3', '2 2')  # after every round of the colours another one
_SIZE = (6., 3.2)  # inches of a drawing as wide as the text
_SMALL_SIZE = (2.7, 2.1)
_FONT_SIZE = 10
_MOST_MARKERS = 25  # of a curve; more would cover it
_RC = {'svg.fonttype': 'none',  # text stays text
       'svg.hashsalt': 'page',  # the same page from the same figures
       'font.family': 'sans-serif', 'font.size': _FONT_SIZE,
       'axes.edgecolor': '#888888', 'axes.spines.top': False,
       'axes.spines.right': False, 'axes.labelcolor': '#555555',
       'xtick.color': '#555555', 'ytick.color': '#555555',
       'axes.grid': True, 'grid.color': '#dddddd', 'grid.linewidth': .8}


class Line(NamedTuple):
  """An entry of a legend.

  Attributes:
    text: str.
    color: '#rrggbb'.
    dashes: in the form of SVG's stroke-dasharray; '' for a line without gaps.
  """
  text: str
  color: str
  dashes: str = ''


class Chart(NamedTuple):
  """A drawing and its legend.

  Attributes:
    svg: markup, an element `svg`.
    lines: [Line].
  """
  svg: markupsafe.Markup
  lines: List[Line]


def line_style(number: int) -> Tuple[str, str]:
  """(colour, dashes) of a curve; 36 differ."""
  turn, place = divmod(number, len(COLORS))
  return COLORS[place], _DASHES[turn % len(_DASHES)]


def over_steps(series: Mapping[str, Sequence[Tuple[int, Optional[float]]]]
               ) -> Optional[Chart]:
  """Curves over the training steps, on a logarithmic scale.

  Args:
    series: {name: [(step, value)]}; what is not above 0 is left out.

  Returns:
    Chart; its legend has the last value of each curve, the highest first. None
    when there is nothing to draw.
  """
  drawn = {name: [(s, v) for s, v in points
                  if v is not None and 0 < v < math.inf]
           for name, points in series.items()}
  drawn = {name: points for name, points in drawn.items() if points}
  if not drawn:
    return None
  names = sorted(drawn, key=lambda name: (-drawn[name][-1][1], name))
  figure, axes = _new(_SIZE)
  lines = []
  for number, name in enumerate(names):
    color, dashes = line_style(number)
    steps, values = zip(*drawn[name])
    _plot(axes, steps, values, color, dashes,
          marker='o', markersize=3.5,
          markevery=-(-len(steps) // _MOST_MARKERS))
    lines.append(Line('%s %.3g' % (name, values[-1]), color, dashes))
  axes.set_yscale('log')
  axes.set_xlim(0, max(max(s for s, _ in p) for p in drawn.values()) * 1.02 + 1)
  axes.set_xlabel('step')
  axes.xaxis.get_major_locator().set_params(integer=True)
  _label_values(axes)
  return Chart(_svg(figure), lines)


def precision_recall(recalls: Sequence[float],
                     curves: Sequence[Tuple[np.ndarray, str]]
                     ) -> markupsafe.Markup:
  """A small drawing of precision over recall.

  Args:
    recalls: [R].
    curves: [(precisions [R], colour)].

  Returns:
    An element `svg`.
  """
  figure, axes = _new(_SMALL_SIZE)
  for precisions, color in curves:
    _plot(axes, recalls, precisions, color, '', clip_on=False)
  ticks = [0., .25, .5, .75, 1.]
  for set_limits, set_ticks in ((axes.set_xlim, axes.set_xticks),
                                (axes.set_ylim, axes.set_yticks)):
    set_limits(0., 1.)
    set_ticks(ticks)
  for axis in (axes.xaxis, axes.yaxis):
    axis.set_ticklabels(['0', '', '0.5', '', '1'])
  axes.set_xlabel('recall')
  axes.set_ylabel('precision')
  return _svg(figure)


def _new(size):
  """(figure, axes) of so many inches."""
  # Slow to load, and it would print lines about its cache of fonts.
  logging.getLogger('matplotlib').setLevel(logging.ERROR)
  import matplotlib
  from matplotlib import figure as figures
  with matplotlib.rc_context(_RC):
    figure = figures.Figure(size)
    axes = figure.add_subplot(111)
  return figure, axes


def _plot(axes, x, y, color, dashes, **options):
  dash_pattern = (0, [float(v) for v in dashes.split()]) if dashes else '-'
  axes.plot(x, y, color=color, linestyle=dash_pattern, linewidth=1.8, **options)


def _label_values(axes):
  """Figures along a logarithmic axis that may be shorter than a decade."""
  from matplotlib import ticker
  low, high = axes.get_ylim()
  if high < 3. * low:  # A single value, or hardly more.
    middle = math.sqrt(low * high)
    low, high = middle / 2., middle * 2.
    axes.set_ylim(low, high)
  # Few decades have room for figures in between.
  subs = (1., 2., 5.) if math.log10(high / low) < 3 else (1.,)
  axes.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
  axes.yaxis.set_major_formatter(
      ticker.FuncFormatter(lambda value, _: '%g' % value))
  axes.yaxis.set_minor_locator(ticker.NullLocator())


def _svg(figure: Any) -> markupsafe.Markup:
  """The element of a figure, without what only a file of its own needs."""
  import matplotlib
  stream = io.StringIO()
  with matplotlib.rc_context(_RC):
    figure.savefig(stream, format='svg', bbox_inches='tight', pad_inches=.04,
                   transparent=True, metadata={'Date': None, 'Creator': None})
  text = stream.getvalue()
  text = text[text.index('<svg'):]
  text = re.sub(r'(?s)<metadata>.*?</metadata>', '', text)
  text = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', '', text)
  # The page gives it its width, in any unit.
  text = re.sub(r'^<svg ([^>]*)>', lambda match: '<svg role="img" %s>' % re.sub(
      r'\b(width|height)="[^"]*" ?', '', match.group(1)), text)
  return markupsafe.Markup(text)
