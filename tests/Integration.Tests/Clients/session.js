// What an application does, by node-postgres: each step prints "ok STEP". Arguments: the write port's configuration as JSON, the read port's.
'use strict';
const fs = require('node:fs');
const { once } = require('node:events');
const { pipeline } = require('node:stream/promises');
const { Readable, Writable } = require('node:stream');
const { Client } = require('pg');
const { from: copyFrom, to: copyTo } = require('pg-copy-streams');

const [write, read] = process.argv.slice(2, 4).map(text => {
  const config = JSON.parse(text);
  if (config.ca) config.ssl = { ca: fs.readFileSync(config.ca) };
  return config;
});

function ok(step, holds) {
  if (!holds) throw new Error(`not ok ${step}`);
  console.log(`ok ${step}`);
}

async function open(config) {
  const client = new Client(config);
  client.on('error', () => {});   // told by the query that fails
  await client.connect();
  return client;
}

// The statement of one session ends, the same statement of another does not.
async function cancel(port, config) {
  const [client, other] = [await open(config), await open(config)];
  const bystander = other.query('SELECT pg_sleep(1)');
  let code = null;
  const sleeping = client.query('SELECT pg_sleep(30)').catch(error => { code = error.code; });
  const again = setInterval(() => {
    const request = new Client(config);
    request.processID = client.processID;
    request.secretKey = client.secretKey;
    request.connection.on('error', () => {});
    request.connection.connect(config.port, config.host);
    request.connection.once('connect', () => {
      const go = () => request.connection.cancel(client.processID, client.secretKey);
      if (config.ssl) request.connection.requestSsl(); else go();
    });
    request.connection.once('sslconnect', () => request.connection.cancel(client.processID, client.secretKey));
  }, 300);
  await sleeping;
  clearInterval(again);
  await bystander;
  const alive = await client.query('SELECT 1 AS one').catch(async () => await client.query('SELECT 1 AS one'));
  ok(`cancel on the ${port} port`, code === '57014' && alive.rows[0].one === 1);
  await client.end();
  await other.end();
}

async function main() {
  const client = await open(write);
  const first = await client.query('SELECT $1::int + $2::int AS sum, pg_is_in_recovery() AS standby', [40, 2]);
  ok('query', first.rows[0].sum === 42 && first.rows[0].standby === false);

  await client.query('CREATE TEMP TABLE things (id int, text text)');
  for (let number = 0; number < 100; number++) {
    await client.query({ name: 'put', text: 'INSERT INTO things VALUES ($1, $2)', values: [number, 'x'.repeat(number)] });
  }
  ok('prepared', (await client.query('SELECT sum(length(text))::int AS sum FROM things')).rows[0].sum === 4950);

  const rows = function* () { for (let n = 100; n < 20100; n++) yield `${n}\t${'y'.repeat(200)}\n`; };
  await pipeline(Readable.from(rows()), client.query(copyFrom('COPY things FROM STDIN')));
  let lines = 0;
  await pipeline(client.query(copyTo('COPY things TO STDOUT')), new Writable({
    write(chunk, _, done) { for (const byte of chunk) if (byte === 10) lines++; done(); },
  }));
  ok('copy both ways', lines === 20100);

  const bad = function* () { for (let n = 0; n < 100000; n++) yield n === 50000 ? 'bad\trow\n' : '1\tgood\n'; };
  const failed = await pipeline(Readable.from(bad()), client.query(copyFrom('COPY things FROM STDIN'))).then(() => null, error => error.code);
  ok('copy that fails in the middle', failed === '22P02' && (await client.query('SELECT count(*)::int AS n FROM things')).rows[0].n === 20100);

  const bytes = Buffer.alloc(1024 * 1024, 0xab);
  const { oid } = (await client.query('SELECT lo_from_bytea(0, $1) AS oid', [bytes])).rows[0];
  ok('large object', bytes.equals((await client.query('SELECT lo_get($1) AS data', [oid])).rows[0].data));
  await client.query('SELECT lo_unlink($1)', [oid]);

  const listener = await open(write);
  await listener.query('LISTEN bell');
  const heard = once(listener, 'notification');
  await client.query("NOTIFY bell, 'ding'");
  ok('notification', (await heard)[0].payload === 'ding');
  await listener.end();
  await client.end();

  await cancel('write', write);
  const reader = await open(read);
  ok('read', (await reader.query('SELECT count(*)::int AS n FROM pg_class')).rows[0].n > 0);
  await reader.end();
  await cancel('read', read);
}

main().then(() => process.exit(0), error => { console.error(error); process.exit(1); });
