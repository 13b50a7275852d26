using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Editing;
using Routing.Cli.Output;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Settings;

namespace Routing.Cli.Commands;

/// <summary><c>edit-config</c>: the dynamic configuration is changed, after it has been checked.</summary>
internal sealed class EditConfigCommand(Session session, EditConfigCommand.Request request)
{
    private const string StandardInput = "-";

    /// <summary>The command line.</summary>
    internal sealed record Request(string Cluster, int? Group)
    {
        public bool Quiet { get; init; }

        public IReadOnlyList<string> Settings { get; init; } = [];

        public IReadOnlyList<string> Parameters { get; init; } = [];

        public string? Apply { get; init; }

        public string? Replace { get; init; }

        public bool Force { get; init; }

        public bool DryRun { get; init; }

        /// <summary>Nothing says what to change: the operator does, in an editor.</summary>
        public bool UsesEditor => Settings.Count == 0 && Parameters.Count == 0 && Apply is null && Replace is null;

        public bool ReadsInput => Apply == StandardInput || Replace == StandardInput;
    }

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var quiet = new Option<bool>("--quiet", "-q") { Description = "Do not show what changes" };
        var set = new Option<string[]>("--set", "-s")
        {
            Description =
                "Set a value, for example loop_wait=5 or postgresql.parameters.work_mem=64MB; null removes it. May be "
                    + "given again",
            HelpName = "PATH=VALUE",
        };
        var pg = new Option<string[]>("--pg", "-p")
        {
            Description =
                "Set a parameter of PostgreSQL: the same as --set postgresql.parameters.NAME=VALUE. May be given again",
            HelpName = "NAME=VALUE",
        };
        var apply =
            new Option<string?>("--apply") { Description =
                "Merge this YAML file into it; null removes. - is the standard input", HelpName = "FILE" };
        var replace =
            new Option<string?>("--replace") { Description = "Put this YAML file in its place. - is the standard input",
                HelpName = "FILE" };
        var force = new Option<bool>("--force") { Description = "Ask nothing, and write it though it is wrong" };
        var dryRun = CommonOptions.DryRun();
        var command = new Command(
            "edit-config",
            "Change the dynamic configuration: in an editor, or by the options; it is checked before it is written")
        {
            name, group, quiet, set, pg, apply, replace, force, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => new EditConfigCommand(
            session,
            new Request(session.ClusterName(parsed.GetValue(name)),
                parsed.GetValue(group) ?? session.Settings.ConfiguredGroup)
            {
                Quiet = parsed.GetValue(quiet),
                Settings = parsed.GetValue(set) ?? [],
                Parameters = parsed.GetValue(pg) ?? [],
                Apply = parsed.GetValue(apply),
                Replace = parsed.GetValue(replace),
                Force = parsed.GetValue(force),
                DryRun = parsed.GetValue(dryRun),
            }).RunAsync(cancellationToken));
    }

    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var snapshot = await store.ReadAsync(cancellationToken);
        if (snapshot.Config is not { } present)
        {
            session.HintIfUnknown(snapshot, request.Cluster, request.Group);
            throw new CtlException("The config key does not exist in the cluster");
        }
        var before = (JsonObject)JsonNode.Parse(present.Raw.GetRawText())!;
        var text = SortedYaml.WriteBlock(before);
        var check = new ConfigCheck(session, snapshot, request.Cluster);
        while (true)
        {
            var wanted = await WantedAsync(before, text, cancellationToken);
            if (JsonNode.DeepEquals(before, wanted))
            {
                if (!request.Quiet)
                {
                    session.Screen.WriteLine("Not changed");
                }
                return ExitCode.Success;
            }
            await ShowAsync(before, wanted, cancellationToken);
            if (request is { ReadsInput: true, Force: false, DryRun: false })
            {
                session.Screen.WriteLine("Use --force option to apply changes");
                return ExitCode.Success;
            }
            if (!await check.PassesAsync(Element(before), Element(wanted), cancellationToken) && !request.Force)
            {
                if (!request.UsesEditor || !await session.Prompts.ConfirmAsync("Edit again?", cancellationToken))
                {
                    session.Screen.WriteHint("Nothing was changed. --force writes it all the same.");
                    return ExitCode.Failure;
                }
                text = SortedYaml.WriteBlock(wanted);
                continue;
            }
            return await ApplyAsync(store, present, before, wanted, cancellationToken);
        }
    }

    private async Task<JsonObject> WantedAsync(JsonObject before, string text, CancellationToken cancellationToken)
    {
        if (request.UsesEditor)
        {
            var edited = await session.Programs.EditAsync(
                text, $"{request.Cluster.Replace('/', '-')}-config.yaml", cancellationToken);
            return ConfigChange.Read(edited, "the edited text");
        }
        var wanted =
            request.Replace is { } whole ? await ReadAsync(whole, cancellationToken) : (JsonObject)before.DeepClone();
        if (request.Apply is { } part)
        {
            SettingsTree.Patch(wanted, await ReadAsync(part, cancellationToken));
        }
        foreach (var pair in request.Settings)
        {
            ConfigChange.Set(wanted, pair);
        }
        foreach (var pair in request.Parameters)
        {
            ConfigChange.SetParameter(wanted, pair);
        }
        return wanted;
    }

    private async Task<JsonObject> ReadAsync(string file, CancellationToken cancellationToken)
    {
        if (file == StandardInput)
        {
            return ConfigChange.Read(await session.Screen.ReadToEndAsync(cancellationToken), "standard input");
        }
        try
        {
            return ConfigChange.Read(await File.ReadAllTextAsync(file, cancellationToken), file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CtlException($"The file {file} can't be read: {e.Message}", hint: null, e);
        }
    }

    private async Task ShowAsync(JsonObject before, JsonObject wanted, CancellationToken cancellationToken)
    {
        if (request.Quiet)
        {
            return;
        }
        var lines = UnifiedDiff.Of(SortedYaml.WriteBlock(before), SortedYaml.WriteBlock(wanted));
        var text =
            session.Screen.HasColours ? UnifiedDiff.Coloured(lines) : string.Concat(lines.Select(line => $"{line}\n"));
        if (!session.Screen.IsTerminal || !await session.Programs.TryPageAsync(text, cancellationToken))
        {
            session.Screen.Output.Write(text);
        }
    }

    private async Task<int> ApplyAsync(
        IClusterStore store, DynamicConfig present, JsonObject before, JsonObject wanted,
        CancellationToken cancellationToken)
    {
        if (request.DryRun)
        {
            session.Screen.WriteLine("Dry run: the configuration would be written");
            return ExitCode.Success;
        }
        if (!request.Force && !await session.Prompts.ConfirmAsync("Apply these changes?", cancellationToken))
        {
            throw new CtlException("Nothing was changed");
        }
        var value = KeyWriter.Config(Element(ConfigChange.InOrderOf(before, wanted)));
        var written = await store.PutAsync(
            ClusterKeys.Config, value, WriteCondition.Unchanged(present.ModRevision), leaseId: 0, cancellationToken);
        if (written.Status == WriteStatus.Conflict)
        {
            throw new CtlException("Config modification aborted due to concurrent changes",
                "Look at it again, and repeat the command.");
        }
        if (!written.IsDone)
        {
            throw new CtlException(
                $"The configuration could not be written: {written.Problem ?? written.Status.ToString()}");
        }
        session.Screen.WriteLine("Configuration changed");
        return ExitCode.Success;
    }

    private static JsonElement Element(JsonNode node) => JsonElement.Parse(node.ToJsonString());
}
