using Routing.Settings;

namespace Routing.Agent.Config;

/// <summary>The section <c>watchdog</c>.</summary>
internal static class WatchdogSection
{
    /// <summary>Reads the section and warns of keys that it does not know.</summary>
    public static WatchdogSettings Read(SectionReader watchdog)
    {
        var defaults = new WatchdogSettings();
        const string testing = "testing";
        var margin = watchdog.Number("safety_margin", -1);
        var driver = watchdog.Text("driver");
        var settings = new WatchdogSettings
        {
            Mode = watchdog.Choice(
                "mode", ("off", WatchdogMode.Off), ("automatic", WatchdogMode.Automatic),
                ("required", WatchdogMode.Required),
                ("disabled", WatchdogMode.Off), ("disable", WatchdogMode.Off), ("auto", WatchdogMode.Automatic),
                ("require", WatchdogMode.Required))
                ?? defaults.Mode,
            Device = watchdog.Text("device") ?? defaults.Device,
            SafetyMargin = margin switch
            {
                null => defaults.SafetyMargin,
                -1 => null,
                { } seconds => TimeSpan.FromSeconds(seconds),
            },
            IsPipe = driver == testing,
        };
        if (driver == testing)
        {
            watchdog.Warn("driver", "the device is a named pipe that a test reads: it guards nothing");
        }
        else if (driver is not (null or "default"))
        {
            watchdog.Warn(
                "driver",
                $"'{driver}' has no effect: the device is used through the kernel's own interface, whatever its "
                    + "driver");
        }
        watchdog.WarnUnknownKeys();
        return settings;
    }
}
