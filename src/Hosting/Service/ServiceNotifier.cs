using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Routing.Hosting.Service;

/// <summary>Tells systemd how far the service is (sd_notify). Without systemd it does nothing.</summary>
/// <remarks>
/// Facts: the manual page sd_notify(3). What systemd has put into the environment for this is taken out of it, so that
/// no child speaks in the service's name: PostgreSQL would.
/// </remarks>
internal sealed partial class ServiceNotifier
{
    // A service manager that does not read its socket must delay neither a reload nor the shutdown.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly string? _address;
    private readonly string? _watchdog;   // as it stood in the environment; null: it is not for this process
    private volatile bool _isSilent;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    private ServiceNotifier(
        string? address, TimeSpan? watchdogInterval, string? watchdog, TimeProvider time, ILogger logger)
    {
        (_address, WatchdogInterval, _watchdog, _time, _logger) = (address, watchdogInterval, watchdog, time, logger);
    }

    /// <summary>How often systemd wants a sign of life; null: never.</summary>
    public TimeSpan? WatchdogInterval { get; }

    /// <summary>Takes from the environment of this process what systemd has put there.</summary>
    public static ServiceNotifier TakeFromProcess(TimeProvider time, ILogger logger)
    {
        var own = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        var (address, pid, interval) = (Take("NOTIFY_SOCKET"), Take("WATCHDOG_PID"), Take("WATCHDOG_USEC"));
        var isWatched = long.TryParse(interval, NumberStyles.None, CultureInfo.InvariantCulture, out var micros)
            && micros > 0 && (string.IsNullOrEmpty(pid) || pid == own);
        return new ServiceNotifier(
            address, isWatched ? TimeSpan.FromMicroseconds(micros) / 2 : null, isWatched ? interval : null, time,
            logger);
    }

    /// <summary>The service works.</summary>
    /// <param name="status">What it does, in a word or two; null: as before.</param>
    public void Ready(string? status = null) => Send("READY=1", status);

    /// <summary>The service takes changed settings; <see cref="Ready"/> ends that.</summary>
    public void Reloading() => Send("RELOADING=1", null);

    /// <summary>The service is about to end.</summary>
    /// <param name="status">What it still does, in a word or two.</param>
    public void Stopping(string status) => Send("STOPPING=1", status);

    /// <summary>
    /// Another process is the service's main process from now on: it may speak in its name, and this one may not.
    /// </summary>
    public void HandTo(int process)
    {
        if (WatchdogInterval is not null)
        {
            Send("WATCHDOG=1", null);   // the next one is the other process's, after as long as it waits between two
        }
        Send(string.Create(CultureInfo.InvariantCulture, $"MAINPID={process}"), null);
        _isSilent = true;
    }

    /// <summary>Puts what was taken out of the environment into that of a process that takes over.</summary>
    public void Equip(IDictionary<string, string?> environment)
    {
        if (!string.IsNullOrEmpty(_address))
        {
            environment["NOTIFY_SOCKET"] = _address;
        }
        if (_watchdog is not null)
        {
            environment["WATCHDOG_USEC"] = _watchdog;
        }
    }

    /// <summary>Gives signs of life, if they are wanted, until it is cancelled.</summary>
    public async Task GiveSignsOfLifeAsync(CancellationToken cancellationToken)
    {
        if (WatchdogInterval is not { } interval)
        {
            return;
        }
        using var timer = new PeriodicTimer(interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                Send("WATCHDOG=1", null);
            }
        }
        catch (OperationCanceledException)
        {
            // about to end
        }
    }

    private static string? Take(string name)
    {
        var value = Environment.GetEnvironmentVariable(name);
        Environment.SetEnvironmentVariable(name, null);
        return value;
    }

    // Never throws: a message that cannot be sent is logged.
    private void Send(string state, string? status)
    {
        if (string.IsNullOrEmpty(_address) || _isSilent)
        {
            return;
        }
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified)
            {
                SendTimeout = (int)s_patience.TotalMilliseconds,
            };
            var path = _address[0] == '@' ? "\0" + _address[1..] : _address;
            var text = status is null ? state : $"{state}\nSTATUS={status}";
            socket.SendTo(Encoding.UTF8.GetBytes(text), new UnixDomainSocketEndPoint(path));
        }
        catch (Exception problem) when (problem is SocketException or ArgumentException)
        {
            LogNotTold(problem.Message);
        }
    }

    [LoggerMessage(
        EventId = 6410, Level = LogLevel.Warning, Message = "The service manager could not be notified: {Problem}")]
    private partial void LogNotTold(string problem);
}
