// The theme's button, tables that sort and filter, the place in the contents, and code that is copied.
(() => {
  'use strict';
  const root = document.documentElement;

  const prefersDark = matchMedia('(prefers-color-scheme: dark)');
  const button = document.getElementById('theme');
  const isDark = () => (root.dataset.theme || (prefersDark.matches ? 'dark' : 'light')) === 'dark';
  const showTheme = () => button.setAttribute('aria-pressed', String(isDark()));
  button.hidden = false;
  button.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    try { localStorage.setItem('mmyolox-theme', root.dataset.theme); } catch { /* See above. */ }
    showTheme();
  });
  prefersDark.addEventListener('change', showTheme);
  showTheme();

  const collator = new Intl.Collator('en', { numeric: true });
  const compare = (a, b, isNumber) => (isNumber ? Number(a) - Number(b) : collator.compare(a, b));

  // What a cell is sorted by; nothing for one that is last in every order.
  const key = (cell) => cell?.dataset.order ?? cell?.textContent ?? '';

  function sort(table, index, direction) {
    const head = table.tHead.rows[0].cells;
    const isNumber = head[index].classList.contains('number');
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, order: key(row.cells[index]) }));
    const known = rows.filter((one) => one.order !== '');
    const unknown = rows.filter((one) => one.order === '');
    known.sort((a, b) => direction * compare(a.order, b.order, isNumber));
    table.tBodies[0].append(...[...known, ...unknown].map((one) => one.row));
    for (const [at, cell] of [...head].entries()) {
      cell.setAttribute('aria-sort', at !== index ? 'none' : direction > 0 ? 'ascending' : 'descending');
    }
  }

  for (const table of document.querySelectorAll('table[data-sortable]')) {
    if (table.tBodies[0].rows.length < 2) continue;
    for (const [index, cell] of [...table.tHead.rows[0].cells].entries()) {
      const sorter = document.createElement('button');
      sorter.type = 'button';
      sorter.append(...cell.childNodes);
      cell.append(sorter);
      cell.setAttribute('aria-sort', 'none');
      // The largest number is asked for first, and the first name.
      const first = cell.classList.contains('number') ? -1 : 1;
      sorter.addEventListener('click', () => {
        const state = cell.getAttribute('aria-sort');
        const direction = state === 'ascending' ? -1 : state === 'descending' ? 1 : first;
        sort(table, index, direction);
      });
    }
  }

  const MANY = 20;
  for (const table of document.querySelectorAll('table[data-sortable]')) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < MANY) continue;
    const label = document.createElement('label');
    label.className = 'filter';
    const name = document.createElement('span');
    name.textContent = 'Filter';
    const what = document.createElement('span');
    what.className = 'hidden';
    what.textContent = ` ${table.caption.textContent}`;
    name.append(what);
    const field = document.createElement('input');
    field.type = 'search';
    const status = document.createElement('output');
    label.append(name, field);
    const bar = document.createElement('div');
    bar.className = 'filter-bar';
    bar.append(label, status);
    table.closest('.table').prepend(bar);
    status.textContent = `${rows.length} rows`;
    field.addEventListener('input', () => {
      const word = field.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(word);
        shown += row.hidden ? 0 : 1;
      }
      status.textContent = word ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
    });
  }

  // What scrolls can be reached by the keyboard.
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const scrolls = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
      if (scrolls) {
        target.tabIndex = 0;
        target.setAttribute('role', 'group');
      } else {
        target.removeAttribute('tabindex');
        target.removeAttribute('role');
      }
    }
  });
  for (const box of document.querySelectorAll('.scroll, .wide')) watcher.observe(box);

  const links = new Map([...document.querySelectorAll('.contents a')].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const spy = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) seen.add(entry.target.id);
      else seen.delete(entry.target.id);
    }
    const current = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
  }, { rootMargin: '-10% 0px -60% 0px' });
  for (const section of document.querySelectorAll('main > section')) spy.observe(section);

  for (const box of document.querySelectorAll('.code')) {
    if (!navigator.clipboard) continue;
    const copy = document.createElement('button');
    copy.type = 'button';
    copy.textContent = 'Copy';
    copy.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(box.querySelector('code').textContent);
        copy.textContent = 'Copied';
      } catch {
        copy.textContent = 'Select and copy';
      }
      setTimeout(() => { copy.textContent = 'Copy'; }, 2000);
    });
    box.append(copy);
  }
})();
