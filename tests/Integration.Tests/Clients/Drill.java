import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Writes rows by PostgreSQL's JDBC driver and HikariCP. Arguments: the file that ends it, table, port, user, password.
 * Prints "pause ENDED LENGTH" (milliseconds since 1970, milliseconds) and, at the end, "done ROWS". An error ends it.
 */
public final class Drill {
    private static final int WORKERS = 8;
    private static final long LEAST_PAUSE = 5;

    private final Path stop;
    private final String insert;
    private final HikariDataSource pool;

    private Drill(String stop, String table, String port, String user, String password) {
        this.stop = Path.of(stop);
        insert = "INSERT INTO " + table + " VALUES (?, ?)";
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:postgresql://127.0.0.1:" + port + "/postgres?sslmode=disable&gssEncMode=disable");
        config.setUsername(user);
        config.setPassword(password);
        config.setMaximumPoolSize(WORKERS / 2);
        config.setConnectionTimeout(120_000);
        pool = new HikariDataSource(config);
    }

    public static void main(String[] args) throws Exception {
        Drill drill = new Drill(args[0], args[1], args[2], args[3], args[4]);
        ExecutorService threads = Executors.newFixedThreadPool(WORKERS);
        List<Future<Long>> working = new ArrayList<>();
        for (int worker = 0; worker < WORKERS; worker++) {
            String name = "w" + worker;
            working.add(threads.submit(() -> drill.work(name)));
        }
        long rows = 0;
        for (Future<Long> one : working) {
            rows += one.get();
        }
        System.out.println("done " + rows);
        threads.shutdown();
        drill.pool.close();
    }

    private long work(String worker) {
        long rows = 0;
        long last = System.currentTimeMillis();
        try {
            while (!Files.exists(stop)) {
                write(worker, rows + 1);
                rows++;
                long now = System.currentTimeMillis();
                if (now - last >= LEAST_PAUSE) {
                    System.out.println("pause " + now + " " + (now - last));
                }
                last = now;
            }
        } catch (Throwable error) {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
        return rows;
    }

    private void write(String worker, long number) throws SQLException {
        try (Connection connection = pool.getConnection()) {
            boolean isTransaction = number % 4 == 0;
            if (isTransaction) {
                connection.setAutoCommit(false);
            }
            try (var statement = connection.prepareStatement(insert)) {
                statement.setString(1, worker);
                statement.setLong(2, number);
                statement.executeUpdate();
            }
            if (isTransaction) {
                try (var statement = connection.prepareStatement("SELECT 1")) {
                    statement.executeQuery();
                }
                connection.commit();
            }
        }
    }
}
