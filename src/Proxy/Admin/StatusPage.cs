namespace Routing.Proxy.Admin;

/// <summary>A page for people: the same as <c>/routes</c>, once a second. Nothing of it comes from elsewhere.</summary>
internal static class StatusPage
{
    /// <summary>The page, UTF-8.</summary>
    public static ReadOnlySpan<byte> Html => """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>routing-proxy</title>
        <style>
        :root { color-scheme: light dark; --ink: light-dark(#1c2430, #e6e9ee); --soft: light-dark(#5d6b7c, #96a2b2);
          --card: light-dark(#fff, #1b222c); --line: light-dark(#dde3ea, #2c3643); --good: light-dark(#12805c, #4cc79a);
          --bad: light-dark(#b3372f, #f0857c); --wait: light-dark(#96650a, #e3b04f); }
        * { box-sizing: border-box; }
        body { margin: 0; padding: 2rem clamp(1rem, 4vw, 3rem); background: light-dark(#f4f6f9, #12171e); color: var(--ink);
          font: 15px/1.5 system-ui, sans-serif; }
        h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 0; }
        header, .head { display: flex; gap: .5rem 1rem; align-items: baseline; flex-wrap: wrap; }
        .soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); }
        .facts { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0 1.5rem; padding: 0; list-style: none; }
        .facts li, section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .6rem 1rem; }
        .facts b { display: block; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
        section { margin-bottom: 1.25rem; padding: 1rem 1.25rem; overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; margin-top: .75rem; }
        th { text-align: left; font-weight: 500; color: var(--soft); font-size: .85rem; }
        th, td { padding: .35rem 1rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
        tr:last-child td { border-bottom: 0; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
        td.why { white-space: normal; min-width: 14rem; } a { color: light-dark(#2b66b1, #7fb0ef); }
        </style>
        </head>
        <body>
        <header><h1>routing-proxy</h1><span id="scope" class="soft"></span><span id="state" role="status"></span></header>
        <ul class="facts" id="facts"></ul>
        <main id="listeners"></main>
        <script>
        'use strict';
        const tag = (name, text, look) => { const e = document.createElement(name); if (text !== undefined) e.textContent = text; if (look) e.className = look; return e; };
        const link = m => { const url = URL.canParse(m.api_url) ? new URL('/ui', m.api_url) : null, a = tag('a', m.name);
          if (!url || !/^https?:$/.test(url.protocol)) return m.name; a.href = url.href; a.rel = 'noreferrer'; a.title = 'dashboard of its agent'; return a; };
        const row = (kind, cells) => { const r = tag('tr'); for (const [what, look] of cells) { const c = tag(kind, undefined, look); c.append(what); r.append(c); } return r; };
        const size = n => { const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']; let u = 0; while (n >= 1024 && u < 4) { n /= 1024; u++; } return (u ? n.toFixed(1) : n) + ' ' + units[u]; };
        function show(d) {
          scope.textContent = d.scope + ' · version ' + d.version + ' · ' + d.transport;
          const sessions = d.listeners.reduce((sum, l) => sum + l.members.reduce((s, m) => s + m.sessions, 0), 0);
          state.textContent = d.draining ? 'draining' : d.stale ? d.source + ' is silent: the last known routes are in use' : 'live';
          state.className = d.draining || d.stale ? 'wait' : 'good';
          facts.replaceChildren(...[['sessions', sessions], ['waiting', d.waiting], ['logging in', d.starting], ['term', d.term], ['topology age', d.age_seconds.toFixed(1) + ' s']]
            .map(([name, value]) => { const li = tag('li'); li.append(tag('b', value), tag('span', name, 'soft')); return li; }));
          listeners.replaceChildren(...d.listeners.map(l => {
            const card = tag('section'), head = tag('div', undefined, 'head'), table = tag('table');
            head.append(tag('h2', l.name), tag('span', l.listen, 'soft'), tag('span', l.role + ', ' + l.policy, 'soft'),
              l.would_choose.length ? tag('span', '→ ' + l.would_choose.join(', '), 'good') : tag('span', 'nobody serves: clients wait', 'bad'));
            const stayed = Object.entries(l.not_moved);
            if (stayed.length) head.append(tag('span', 'ended with their server: ' + stayed.map(([why, n]) => n + ' × ' + why.replaceAll('_', ' ')).join(', '), 'wait'));
            table.append(row('th', [['member'], ['address'], ['role'], ['state'], ['lag', 'n'], ['sessions', 'n'], ['movable', 'n'], ['from clients', 'n'], ['from server', 'n'], ['']]));
            for (const m of l.members) table.append(row('td', [[link(m)], [m.address ?? ''], [m.role], [m.state, m.state === 'running' ? '' : 'bad'],
              [m.lag_bytes === undefined ? '' : size(m.lag_bytes), 'n'], [m.sessions, 'n'], [m.sessions_movable, 'n'], [size(m.bytes_from_clients), 'n'], [size(m.bytes_from_server), 'n'],
              [m.reason, 'why ' + (m.serves ? 'good' : 'soft')]]));
            card.append(head, table); return card;
          }));
        }
        async function tick() {
          try { show(await (await fetch('routes')).json()); }
          catch { state.textContent = 'the proxy does not answer'; state.className = 'bad'; }
          setTimeout(tick, 1000);
        }
        const [scope, state, facts, listeners] = ['scope', 'state', 'facts', 'listeners'].map(id => document.getElementById(id));
        tick();
        </script>
        </body>
        </html>
        """u8;
}
