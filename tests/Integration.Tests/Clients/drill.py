"""Writes rows by a pool of psycopg or psycopg2. Arguments: which, the file that ends it, table, port, user, password.

Prints "pause ENDED LENGTH" (milliseconds since 1970, milliseconds) and, at the end, "done ROWS". An error ends it.
"""
import contextlib
import os
import sys
import threading
import time
import traceback

driver, stop, table, port, user, password = sys.argv[1:7]
WORKERS = 8
LEAST_PAUSE = 0.005
settings = (
    f"host=127.0.0.1 port={port} dbname=postgres user={user} password={password}"
    " connect_timeout=120 sslmode=disable gssencmode=disable"
)

if driver == "psycopg":
    from psycopg_pool import ConnectionPool

    pool = ConnectionPool(settings, min_size=WORKERS // 2, max_size=WORKERS // 2, timeout=120)
    transaction = pool.connection
else:
    from psycopg2.pool import ThreadedConnectionPool

    pool = ThreadedConnectionPool(WORKERS, WORKERS, settings)

    @contextlib.contextmanager
    def transaction():
        connection = pool.getconn()
        try:
            with connection:
                yield connection
        finally:
            pool.putconn(connection)


rows = [0] * WORKERS
printing = threading.Lock()


def say(line):
    with printing:
        print(line, flush=True)


def write(worker):
    last = time.time()
    while not os.path.exists(stop):
        number = rows[worker] + 1
        with transaction() as connection, connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", (f"w{worker}", number))
            if number % 4 == 0:
                cursor.execute("SELECT 1")
                cursor.fetchone()
        rows[worker] = number
        now = time.time()
        if now - last >= LEAST_PAUSE:
            say(f"pause {now * 1000:.0f} {(now - last) * 1000:.0f}")
        last = now


def work(worker):
    try:
        write(worker)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


workers = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
for one in workers:
    one.start()
for one in workers:
    one.join()
say(f"done {sum(rows)}")
