namespace Routing.Agent.Watchdog;

/// <summary>What the device's driver says of itself (WDIOC_GETSUPPORT).</summary>
/// <param name="Identity">The driver's name.</param>
/// <param name="CanSetTimeout">WDIOF_SETTIMEOUT.</param>
/// <param name="CanClose">WDIOF_MAGICCLOSE: writing <c>V</c> before the close stops it.</param>
internal readonly record struct WatchdogSupport(string Identity, bool CanSetTimeout, bool CanClose);

/// <summary>An opened watchdog device. Opening starts it: from then on it must be written to.</summary>
/// <remarks>Each call throws <see cref="IOException"/> when the driver refuses.</remarks>
internal interface IWatchdogDevice : IDisposable
{
    WatchdogSupport Support { get; }

    /// <summary>
    /// The time in whole seconds after which the machine is reset; the driver may round what it is given.
    /// </summary>
    int TimeoutSeconds { get; set; }

    /// <summary>One byte: any resets the countdown, <c>V</c> announces the close.</summary>
    void Write(byte value);
}
