using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace Routing.Hosting.Logging;

/// <summary>
/// Turns a record into a line, plain or JSON, with the placeholders of the <c>log.format</c> setting.
/// </summary>
internal sealed partial class LogFormat
{
    private const string DefaultFormat = "%(asctime)s %(levelname)s: %(message)s";
    private const string DefaultTime = "yyyy-MM-dd HH:mm:ss,fff";

    private static readonly string s_program = Path.GetFileName(Environment.ProcessPath) ?? "";

    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly KeyValuePair<string, string>[] s_jsonFields =
        [new("asctime", "asctime"), new("levelname", "levelname"), new("message", "message")];

    private readonly LogSettings _settings;
    private readonly TimeZoneInfo _zone;
    private readonly Func<DateTimeOffset, string> _time;
    private readonly IReadOnlyList<Part> _parts;
    private readonly IReadOnlyList<KeyValuePair<string, string>> _fields;

    private LogFormat(LogSettings settings, TimeZoneInfo zone)
    {
        _settings = settings;
        _zone = zone;
        _time = settings.DateFormat is { Length: > 0 } format ? time => Strftime(format, time)
            : time => time.ToString(DefaultTime, CultureInfo.InvariantCulture);
        _parts = Parse(settings.Format ?? DefaultFormat);
        _fields = !settings.JsonFields.IsDefaultOrEmpty ? settings.JsonFields
            : settings.Format is null ? s_jsonFields
            : [.. _parts.Where(part => part.Field is not null)
                .Select(part => KeyValuePair.Create(part.Field!, part.Field!))];
    }

    /// <summary>The format that the settings ask for.</summary>
    public static LogFormat From(LogSettings settings, TimeZoneInfo zone) => new(settings, zone);

    /// <summary>The line, without its end.</summary>
    public string Line(LogRecord record) => _settings.Json ? Json(record) : Plain(record);

    private string Plain(LogRecord record)
    {
        var line = new StringBuilder();
        foreach (var part in _parts)
        {
            line.Append(part.Field is { } field ? Padded(Value(field, record), part) : part.Text);
        }
        if (record.Exception is { } exception)
        {
            line.Append(ShowsTrace ? $"\n{exception}" : $": {exception.Message}");
        }
        return line.ToString();
    }

    private string Json(LogRecord record)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            json.WriteStartObject();
            foreach (var (field, name) in _fields)
            {
                json.WriteString(name, Value(field, record));
            }
            foreach (var (name, value) in _settings.StaticFields)
            {
                json.WriteString(name, value);
            }
            if (record.Exception is { } exception)
            {
                json.WriteString("exc_info", ShowsTrace ? exception.ToString() : exception.Message);
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private bool ShowsTrace => _settings.Level <= _settings.TracebackLevel;

    /// <summary>The value of a field; empty for one that has no meaning here (source file, line, function).</summary>
    private string Value(string field, LogRecord record) => field switch
    {
        "asctime" => _time(TimeZoneInfo.ConvertTime(record.Time, _zone)),
        "levelname" => Name(record.Level),
        "levelno" => (10 * Math.Max(1, (int)record.Level)).ToString(CultureInfo.InvariantCulture),
        "message" => record.Message,
        "name" or "module" => record.Category,
        "funcName" => record.Event.Name ?? "",
        "process" => Environment.ProcessId.ToString(CultureInfo.InvariantCulture),
        "processName" => s_program,
        "thread" => record.Thread.ToString(CultureInfo.InvariantCulture),
        "threadName" => $"Thread-{record.Thread}",
        "created" => (record.Time.ToUnixTimeMilliseconds() / 1000m).ToString(CultureInfo.InvariantCulture),
        "msecs" => record.Time.Millisecond.ToString(CultureInfo.InvariantCulture),
        _ => "",
    };

    private static string Name(LogLevel level) => level switch
    {
        LogLevel.Trace or LogLevel.Debug => "DEBUG",
        LogLevel.Information => "INFO",
        LogLevel.Warning => "WARNING",
        LogLevel.Error => "ERROR",
        _ => "CRITICAL",
    };

    private static string Padded(string value, Part part)
    {
        var shown = part.Precision is { } most && value.Length > most ? value[..most] : value;
        return part.IsLeft ? shown.PadRight(part.Width) : shown.PadLeft(part.Width);
    }

    private static List<Part> Parse(string format)
    {
        var parts = new List<Part>();
        var at = 0;
        foreach (Match match in Placeholder().Matches(format))
        {
            parts.Add(Part.Literal(format[at..match.Index]));
            parts.Add(match.Value == "%%"
                ? Part.Literal("%")
                : new Part(
                    "", match.Groups["field"].Value, Number(match.Groups["width"].Value) ?? 0,
                    Number(match.Groups["precision"].Value),
                    match.Groups["flag"].Value.Contains('-', StringComparison.Ordinal)));
            at = match.Index + match.Length;
        }
        parts.Add(Part.Literal(format[at..]));
        return parts;

        static int? Number(string digits) =>
            int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }

    private static string Strftime(string format, DateTimeOffset time)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }
            i++;
            text.Append(format[i] switch
            {
                'Y' => Net("yyyy"),
                'y' => Net("yy"),
                'm' => Net("MM"),
                'd' => Net("dd"),
                'H' => Net("HH"),
                'I' => Net("hh"),
                'M' => Net("mm"),
                'S' => Net("ss"),
                'f' => Net("ffffff"),
                'p' => Net("tt"),
                'b' => Net("MMM"),
                'B' => Net("MMMM"),
                'a' => Net("ddd"),
                'A' => Net("dddd"),
                'F' => Net("yyyy-MM-dd"),
                'T' => Net("HH:mm:ss"),
                'j' => time.DayOfYear.ToString("D3", CultureInfo.InvariantCulture),
                's' => time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
                'z' => Net("zzz").Replace(":", "", StringComparison.Ordinal),
                'Z' => time.Offset == TimeSpan.Zero ? "UTC" : Net("zzz"),
                '%' => "%",
                var other => $"%{other}",
            });
        }
        return text.ToString();

        string Net(string pattern) => time.ToString(pattern, CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"%%|%\((?<field>\w+)\)(?<flag>[-+ #0]*)(?<width>\d*)(\.(?<precision>\d+))?[a-z]")]
    private static partial Regex Placeholder();

    /// <summary>A piece of the format: text, or a field.</summary>
    private sealed record Part(string Text, string? Field, int Width, int? Precision, bool IsLeft)
    {
        public static Part Literal(string text) => new(text, null, 0, null, false);
    }
}
