using System.CommandLine;

namespace Routing.Cli.Commands;

/// <summary>The options that every command has; they may stand before it or after it.</summary>
internal sealed class GlobalOptions
{
    public Option<string?> ConfigFile { get; } = new("--config-file", "-c")
    {
        Description =
            "Configuration file, such as the agent's own [env: PATRONICTL_CONFIG_FILE; default: "
                + "~/.config/patroni/patronictl.yaml]",
        HelpName = "FILE",
        Recursive = true,
    };

    public Option<string?> DcsUrl { get; } = new("--dcs-url", "-d", "--dcs")
    {
        Description =
            "Where etcd is: [etcd3://]HOST[:PORT][/NAMESPACE], instead of what the configuration says [env: DCS_URL]",
        HelpName = "URL",
        Recursive = true,
    };

    public Option<bool> Insecure { get; } = new("--insecure", "-k")
    {
        Description = "Accept any certificate of a member's REST API",
        Recursive = true,
    };
}
