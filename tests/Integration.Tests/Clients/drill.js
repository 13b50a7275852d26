// Writes rows by a pool of node-postgres. Arguments: the file that ends it, table, port, user, password.
// Prints "pause ENDED LENGTH" (milliseconds since 1970, milliseconds) and, at the end, "done ROWS". An error ends it.
'use strict';
const fs = require('node:fs');
const { Pool } = require('pg');

const [stop, table, port, user, password] = process.argv.slice(2);
const workers = 8;
const leastPause = 5;

function fail(error) {
  console.error(error);
  process.exit(1);
}

const pool = new Pool({
  host: '127.0.0.1', port: Number(port), database: 'postgres', user, password, max: workers / 2, connectionTimeoutMillis: 120_000,
});
pool.on('error', fail);   // a connection that rests in the pool has broken

const put = (worker, number) => ({ name: 'put', text: `INSERT INTO ${table} VALUES ($1, $2)`, values: [`w${worker}`, number] });

async function transaction(worker, number) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query(put(worker, number));
    await client.query('SELECT 1');
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

async function work(worker) {
  let [rows, last] = [0, Date.now()];
  while (!fs.existsSync(stop)) {
    const number = rows + 1;
    await (number % 4 === 0 ? transaction(worker, number) : pool.query(put(worker, number)));
    rows = number;
    const now = Date.now();
    if (now - last >= leastPause) console.log(`pause ${now} ${now - last}`);
    last = now;
  }
  return rows;
}

Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
  .then(all => { console.log(`done ${all.reduce((sum, rows) => sum + rows, 0)}`); return pool.end(); })
  .catch(fail);
