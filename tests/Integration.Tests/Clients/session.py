"""What an application does, by psycopg2: each step prints "ok STEP". Arguments: the write port's connection string, the read port's."""
import io
import os
import select
import socket
import sys
import threading
import time

import psycopg2
import psycopg2.extensions

write, read = sys.argv[1:3]


def ok(step, holds):
    if not holds:
        sys.exit(f"not ok {step}")
    print(f"ok {step}", flush=True)


def cancel(port, connection, other):
    """The statement of one session ends, the same statement of another does not."""
    ended = []

    def sleep(which, seconds):
        try:
            which.cursor().execute("SELECT pg_sleep(%s)", (seconds,))
            ended.append("slept")
        except psycopg2.extensions.QueryCanceledError:
            ended.append("cancelled")

    sleeping, bystander = threading.Thread(target=sleep, args=(connection, 30)), threading.Thread(target=sleep, args=(other, 1))
    sleeping.start()
    bystander.start()
    until = time.monotonic() + 20
    while sleeping.is_alive() and time.monotonic() < until:
        connection.cancel()
        sleeping.join(0.1)
    bystander.join()
    connection.rollback()
    ok(f"cancel on the {port} port", sorted(ended) == ["cancelled", "slept"])


connection, other = psycopg2.connect(write), psycopg2.connect(write)
cursor = connection.cursor()
cursor.execute("SELECT %s + %s, pg_is_in_recovery()", (40, 2))
ok("query", cursor.fetchone() == (42, False))

cursor.execute("CREATE TEMP TABLE things (id int, text text)")
cursor.execute("PREPARE put AS INSERT INTO things VALUES ($1, $2)")
for number in range(100):
    cursor.execute("EXECUTE put (%s, %s)", (number, "x" * number))
cursor.execute("SELECT sum(length(text)) FROM things")
ok("prepared", cursor.fetchone() == (4950,))

cursor.copy_expert("COPY things FROM STDIN", io.StringIO("".join(f"{n}\t{'y' * 200}\n" for n in range(100, 20100))))
copied = io.StringIO()
cursor.copy_expert("COPY things TO STDOUT", copied)
ok("copy both ways", copied.getvalue().count("\n") == 20100)

cursor.execute("SAVEPOINT before")
try:
    cursor.copy_expert("COPY things FROM STDIN", io.StringIO("1\tgood\n" * 50000 + "bad\trow\n" + "2\tgood\n" * 50000))
    ok("copy that fails in the middle", False)
except psycopg2.errors.InvalidTextRepresentation:
    cursor.execute("ROLLBACK TO before")
    cursor.execute("SELECT count(*) FROM things")
    ok("copy that fails in the middle", cursor.fetchone() == (20100,))

large = connection.lobject(0, "wb")
large.write(bytes(range(256)) * 4000)
large.close()
back = connection.lobject(large.oid, "rb")
ok("large object", back.read() == bytes(range(256)) * 4000)
back.unlink()
connection.commit()

other.autocommit = True
other.cursor().execute("LISTEN bell")
cursor.execute("NOTIFY bell, 'ding'")
connection.commit()
until = time.monotonic() + 20
while not other.notifies and time.monotonic() < until:
    select.select([other], [], [], 1)
    other.poll()
ok("notification", [note.payload for note in other.notifies] == ["ding"])
other.cursor().execute("UNLISTEN *")
other.autocommit = False

cancel("write", connection, other)
connection.close()
other.close()

reader, bystander = psycopg2.connect(read), psycopg2.connect(read)
cursor = reader.cursor()
cursor.execute("SELECT count(*) FROM pg_class")
ok("read", cursor.fetchone()[0] > 0)
cancel("read", reader, bystander)


def until_ready(connection):
    """Does what an asynchronous connection waits for."""
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        select.select(
            [connection] if state == psycopg2.extensions.POLL_READ else [],
            [connection] if state == psycopg2.extensions.POLL_WRITE else [], [], 20)


# The client has said all that it wants to, and shuts down its sending side while the statement runs.
connection = psycopg2.connect(write, async_=1)
until_ready(connection)
cursor = connection.cursor()
cursor.execute("CREATE TABLE IF NOT EXISTS last_words (id int)")
until_ready(connection)
cursor.execute("TRUNCATE last_words; INSERT INTO last_words SELECT 1 FROM pg_sleep(0.5) RETURNING id")
socket.socket(fileno=os.dup(connection.fileno())).shutdown(socket.SHUT_WR)
until_ready(connection)
answered = cursor.fetchone()
cursor = psycopg2.connect(write).cursor()
cursor.execute("SELECT count(*) FROM last_words")
ok("statements ahead of the end", answered == (1,) and cursor.fetchone() == (1,))
