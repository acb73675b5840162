(() => {
  const source = new EventSource('events');
  let busy = false;
  let due = false;
  const keys = (root) => {
    const seen = new Map();
    return [...root.querySelectorAll('main details')].map((one) => {
      const own = one.querySelector(':scope > .target');
      const around = one.parentElement.closest('[id]');
      const words = one.querySelector(':scope > summary').textContent.replace(/[0-9.]+/g, '');
      const key = own && own.id ? own.id : (around ? around.id : '') + '|' + words;
      seen.set(key, (seen.get(key) || 0) + 1);
      return [key + '|' + seen.get(key), one];
    });
  };
  const swap = (next) => {
    const open = new Map(keys(document).map(([key, one]) => [key, one.open]));
    for (const [key, one] of keys(next)) if (open.has(key)) one.open = open.get(key);
    const tools = document.getElementById('tools');
    const fresh = next.getElementById('tools');
    if (tools && fresh) fresh.replaceWith(tools);
    document.title = next.title;
    for (const part of ['header', 'main']) document.querySelector(part).replaceWith(next.querySelector(part));
    if (tools) tools.dispatchEvent(new Event('input'));
  };
  const refresh = async () => {
    if (busy) { due = true; return; }
    busy = true;
    try {
      const answer = await fetch('./', { cache: 'no-store' });
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), 'text/html'));
    } catch (_) { /* the server is gone; the stream asks again by itself */ }
    setTimeout(() => { busy = false; if (due) { due = false; refresh(); } }, 1000);
  };
  source.addEventListener('message', refresh);
})();
