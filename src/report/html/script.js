(() => {
  const at = (id) => document.getElementById(id);
  const tools = at('tools');
  const all = (of) => [...document.querySelectorAll(of)];
  tools.hidden = false;
  const filter = () => {
    const words = at('find').value.toLowerCase().split(' ').filter(Boolean);
    const status = at('status').value;
    const calls = all('.call');
    let shown = 0;
    for (const call of calls) {
      const is = call.dataset.status;
      const fits = (status === '' || is === status || (status === 'not' && is !== 'ok')) &&
        words.every((word) => call.dataset.find.includes(word));
      call.hidden = !fits;
      shown += fits;
    }
    for (const group of all('.group')) group.hidden = !group.querySelector('.call:not([hidden])');
    at('count').textContent = shown === calls.length ? '' : shown + ' of ' + calls.length;
  };
  tools.addEventListener('submit', (event) => event.preventDefault());
  tools.addEventListener('input', filter);
  for (const [id, open] of [['open', true], ['close', false]]) {
    at(id).addEventListener('click', () => {
      for (const call of all('.call')) if (!call.hidden && 'open' in call) call.open = open;
    });
  }
  document.documentElement.classList.add('scripted');
  addEventListener('submit', (event) => { if (event.target.matches('.finder')) event.preventDefault(); });
  addEventListener('input', (event) => {
    const form = event.target.closest('.finder');
    if (!form) return;
    const words = event.target.value.toLowerCase().split(' ').filter(Boolean);
    const rows = [...form.nextElementSibling.querySelectorAll('tbody')][0].rows;
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    form.querySelector('output').textContent = shown === rows.length ? '' : shown + ' of ' + rows.length;
  });
  const reveal = () => {
    const target = location.hash && at(location.hash.slice(1));
    for (let up = target; up; up = up.parentElement) {
      if (up.hidden) up.hidden = false;
      if (up.tagName === 'DETAILS') up.open = true;
    }
    if (target) target.scrollIntoView();
  };
  addEventListener('hashchange', reveal);
  reveal();
})();
