'use strict';
(function () {
  const byId = (id) => document.getElementById(id);
  const place = byId('cards');
  const cards = Array.from(document.querySelectorAll('.card'), (node, index) => ({
    node, index, name: node.dataset.name, kind: node.dataset.kind,
    items: JSON.parse(node.dataset.items),
    chips: Array.from(node.querySelectorAll('li[data-class]')),
  }));

  function chipText(kind, count, best) {
    if (kind === 'share') return (100 * best).toFixed(1) + ' %';
    return count === 1 ? best.toFixed(2) : count + ', best ' + best.toFixed(2);
  }

  function filter(card, wanted, least) {
    const groups = new Map();
    for (const [classId, score] of card.items) {
      if (score < least || (wanted && String(classId) !== wanted)) continue;
      const group = groups.get(String(classId)) || {count: 0, best: 0};
      group.count += 1;
      group.best = Math.max(group.best, score);
      groups.set(String(classId), group);
    }
    for (const chip of card.chips) {
      const group = groups.get(chip.dataset.class);
      chip.hidden = !group;
      if (group) {
        chip.querySelector('span').textContent =
            chipText(card.kind, group.count, group.best);
      }
    }
    card.count = 0;
    card.best = -1;
    for (const group of groups.values()) {
      card.count += group.count;
      card.best = Math.max(card.best, group.best);
    }
    // Without a filter, images without an object are shown, too.
    card.node.hidden = !card.count && (wanted !== '' || least > 0);
  }

  const orders = {
    given: (a, b) => a.index - b.index,
    name: (a, b) => a.name.localeCompare(b.name) || a.index - b.index,
    best: (a, b) => b.best - a.best || a.index - b.index,
    worst: (a, b) => a.best - b.best || a.index - b.index,
    count: (a, b) => b.count - a.count || a.index - b.index,
  };

  function update() {
    const least = Number(byId('score').value);
    byId('score-text').textContent = least.toFixed(2);
    for (const card of cards) filter(card, byId('class').value, least);
    const sorted = cards.slice().sort(orders[byId('order').value]);
    for (const card of sorted) place.appendChild(card.node);
    const visible = cards.filter((card) => !card.node.hidden);
    const found = visible.reduce((sum, card) => sum + card.count, 0);
    byId('count').textContent =
        visible.length + ' of ' + cards.length + ' images, ' + found + ' found';
  }

  byId('controls').hidden = false;
  byId('controls').addEventListener('input', update);
  byId('controls').addEventListener('submit', (event) => event.preventDefault());
  update();
})();
