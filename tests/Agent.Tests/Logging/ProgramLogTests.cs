using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Routing.Hosting.Logging;
using Routing.TestKit;

namespace Routing.Agent.Tests.Logging;

/// <summary>The log: formats, levels, files, and what happens when a disk is slow or full.</summary>
public sealed class ProgramLogTests
{
    private static readonly FakeTimeProvider s_noon = new(new DateTimeOffset(2026, 7, 20, 12, 0, 1, 45, TimeSpan.Zero));

    [Fact]
    public async Task A_plain_line_has_time_level_and_message()
    {
        var lines = await WriteAsync(new LogSettings(),
            log => log.LogWarning("no action. I am ({Name}), a secondary", "pg-b"));

        Assert.Equal(["2026-07-20 12:00:01,045 WARNING: no action. I am (pg-b), a secondary"], lines);
    }

    [Theory]
    [InlineData("%(levelname)-8s|%(name)s|%(message)s", null, "INFO    |ha|hello")]
    [InlineData("%(levelname)8s %(levelno)d 100%% %(unknown)s%(message)s", null, "    INFO 20 100% hello")]
    [InlineData("%(asctime)s %(message)s", "%d/%b/%Y:%H:%M:%S %z %q%%", "20/Jul/2026:12:00:01 +0000 %q% hello")]
    [InlineData("[%(levelname)-6.3s] %(message).2s", null, "[INF   ] he")]
    [InlineData("no placeholder", null, "no placeholder")]
    public async Task The_format_is_that_of_the_settings(string format, string? dateFormat, string expected)
    {
        var lines = await WriteAsync(new LogSettings { Format = format, DateFormat = dateFormat },
            log => log.LogInformation("hello"));

        Assert.Equal([expected], lines);
    }

    [Fact]
    public async Task JSON_lines_carry_the_chosen_fields_under_their_names_and_the_static_ones()
    {
        var settings = new LogSettings
        {
            Json = true,
            JsonFields = [new("levelname", "severity"), new("message", "text")],
            StaticFields = ImmutableSortedDictionary<string, string>.Empty.Add("app", "pay"),
        };

        var plain = await WriteAsync(settings with { JsonFields = [] }, log => log.LogInformation("line\none"));
        var chosen = await WriteAsync(settings, log => log.LogError(new InvalidOperationException("broken"), "failed"));

        Assert.Equal("""{"asctime":"2026-07-20 12:00:01,045","levelname":"INFO","message":"line\none","app":"pay"}""",
            Assert.Single(plain));
        var json = JsonElement.Parse(Assert.Single(chosen));
        Assert.Equal("ERROR", json.GetProperty("severity").GetString());
        Assert.Equal("failed", json.GetProperty("text").GetString());
        Assert.Contains("broken", json.GetProperty("exc_info").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Levels_hold_for_all_and_for_single_loggers_and_what_is_below_them()
    {
        var settings = new LogSettings
        {
            Format = "%(name)s %(message)s",
            Level = LogLevel.Warning,
            Loggers = ImmutableSortedDictionary<string, LogLevel>.Empty.Add("dcs", LogLevel.Debug)
                .Add("dcs.watch", LogLevel.Error),
        };

        var lines = await WriteAsync(settings, factory =>
        {
            foreach (var category in (string[])["ha", "dcs", "dcs.lease", "dcs.watch.etcd", "dcsx"])
            {
                factory.CreateLogger(category).LogInformation("info");
                factory.CreateLogger(category).LogWarning("warning");
            }
        });

        Assert.Equal(["ha warning", "dcs info", "dcs warning", "dcs.lease info", "dcs.lease warning", "dcsx warning"],
            lines);
    }

    [Theory]
    [InlineData(LogLevel.Information, LogLevel.Error, true)]
    [InlineData(LogLevel.Information, LogLevel.Debug, false)]
    [InlineData(LogLevel.Debug, LogLevel.Debug, true)]
    public async Task Stack_traces_show_from_their_level_on(LogLevel level, LogLevel tracebackLevel, bool expected)
    {
        var lines = await WriteAsync(
            new LogSettings { Format = "%(message)s", Level = level, TracebackLevel = tracebackLevel },
            log => log.LogError(new InvalidOperationException("broken"), "failed"));

        Assert.Equal(expected, lines.Contains("System.InvalidOperationException: broken"));
        Assert.Equal(!expected, lines.Contains("failed: broken"));
    }

    [Fact]
    public async Task A_heartbeat_that_repeats_itself_is_written_once_when_asked_for()
    {
        var settings = new LogSettings { Format = "%(message)s", DeduplicateHeartbeat = true };

        var lines = await WriteAsync(settings, Beat);
        var all = await WriteAsync(settings with { DeduplicateHeartbeat = false }, Beat);

        Assert.Equal(["leads", "other", "follows", "leads"], lines);
        Assert.Equal(["leads", "other", "leads", "follows", "leads"], all);

        static void Beat(ILogger log)
        {
            log.Log(LogLevel.Information, LogRecord.Heartbeat, "leads");
            log.LogInformation("other");
            log.Log(LogLevel.Information, LogRecord.Heartbeat, "leads");
            log.Log(LogLevel.Information, LogRecord.Heartbeat, "follows");
            log.Log(LogLevel.Information, LogRecord.Heartbeat, "leads");
        }
    }

    [Fact]
    public async Task Files_are_put_aside_at_their_size_and_only_so_many_are_kept()
    {
        using var directory = new TempDirectory("log");
        var settings = new LogSettings
        {
            Format = "%(message)s", Directory = directory["logs"], FileSizeBytes = 20, FileCount = 2,
            FileMode = 0b110_100_000,
        };

        await WriteAsync(settings, log =>
        {
            foreach (var number in Enumerable.Range(1, 9))
            {
                log.LogInformation("line {Number}", number);   // 7 bytes each: two in a file
            }
        });

        var path = Path.Combine(directory["logs"], "patroni.log");
        Assert.Equal("line 9\n", await ReadAsync(path));
        Assert.Equal("line 7\nline 8\n", await ReadAsync(path + ".1"));
        Assert.Equal("line 5\nline 6\n", await ReadAsync(path + ".2"));
        Assert.False(File.Exists(path + ".3"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead,
            File.GetUnixFileMode(path));
    }

    [Fact]
    public async Task An_existing_file_is_continued_and_never_put_aside_without_a_number_to_keep()
    {
        using var directory = new TempDirectory("log");
        var settings =
            new LogSettings { Format = "%(message)s", Directory = directory.Path, FileSizeBytes = 5, FileCount = 0 };

        await WriteAsync(settings, log => log.LogInformation("first"));
        await WriteAsync(settings, log => log.LogInformation("second"));

        Assert.Equal("first\nsecond\n", await ReadAsync(directory["patroni.log"]));
    }

    [Fact]
    public async Task Whoever_logs_never_waits_for_a_console_that_hangs_and_what_is_lost_is_counted()
    {
        using var console = new HangingWriter();
        var log = new ProgramLog(new LogSettings { MaximumQueueLength = 10 }, TimeProvider.System, console);
        using var factory = log.CreateFactory();
        var logger = factory.CreateLogger("ha");
        logger.LogInformation("hangs");
        await WaitUntil.TrueAsync(() => console.IsHanging);

        foreach (var number in Enumerable.Range(1, 15))
        {
            logger.LogInformation("line {Number}", number);
        }

        Assert.Equal((10, 5L), (log.Length, log.LostRecords));
        console.Release();
        await log.DisposeAsync();
        Assert.Equal(0, log.Length);
        Assert.Equal(11, console.Lines);
    }

    [Fact]
    public async Task A_reload_changes_level_and_target()
    {
        using var directory = new TempDirectory("log");
        using var console = new StringWriter();
        var log = new ProgramLog(new LogSettings { Format = "%(message)s" }, s_noon, console);
        using var factory = log.CreateFactory();
        var logger = factory.CreateLogger("ha");

        logger.LogDebug("hidden");
        logger.LogInformation("console");
        await WaitUntil.TrueAsync(() => log.Length == 0 && console.ToString().Length > 0);
        log.Reload(new LogSettings { Format = "%(message)s", Level = LogLevel.Debug, Directory = directory.Path });
        logger.LogDebug("file");
        await log.DisposeAsync();

        Assert.Equal("console", console.ToString().Trim());
        Assert.Equal("file\n", await ReadAsync(directory["patroni.log"]));
    }

    private static Task<string> ReadAsync(string path) =>
        File.ReadAllTextAsync(path, TestContext.Current.CancellationToken);

    private static Task<string[]> WriteAsync(LogSettings settings, Action<ILogger> say) =>
        WriteAsync(settings, factory => say(factory.CreateLogger("ha")));

    private static async Task<string[]> WriteAsync(LogSettings settings, Action<ILoggerFactory> say)
    {
        using var console = new StringWriter();
        var log = new ProgramLog(settings, s_noon, console);
        using (var factory = log.CreateFactory())
        {
            say(factory);
            await log.DisposeAsync();
        }
        return console.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>A console that takes no line until it is released.</summary>
    private sealed class HangingWriter : StringWriter
    {
        private readonly ManualResetEventSlim _released = new();

        public bool IsHanging { get; private set; }

        public int Lines { get; private set; }

        public void Release() => _released.Set();

        public override void WriteLine(string? value)
        {
            IsHanging = true;
            _released.Wait(TimeSpan.FromSeconds(15));
            Lines++;
        }

        protected override void Dispose(bool disposing)
        {
            _released.Dispose();
            base.Dispose(disposing);
        }
    }
}
