using Routing.Agent.Config;
using Routing.Settings;

namespace Routing.Agent.Tests.Config;

/// <summary>Configurations for tests: a smallest one that is complete, and the reading of any.</summary>
internal static class Yaml
{
    public const string Smallest = """
        scope: orders
        name: n1
        restapi: {listen: 127.0.0.2:8008, connect_address: 127.0.0.2:8008}
        etcd3: {hosts: 127.0.0.1:2379}
        postgresql:
          listen: 127.0.0.2:5432
          connect_address: 127.0.0.2:5432
          data_dir: /tmp/routing-nowhere/data
          authentication:
            superuser: {username: postgres, password: s}
            replication: {username: replicator, password: r}

        """;

    /// <summary>Reads the smallest configuration with <paramref name="over"/> patched over it.</summary>
    public static AgentSettingsResult Load(string over = "", params (string Name, string Value)[] environment)
    {
        var directory = Directory.CreateTempSubdirectory("routing-config-");
        try
        {
            File.WriteAllText(Path.Combine(directory.FullName, "1.yml"), Smallest);
            if (over.Length > 0)
            {
                File.WriteAllText(Path.Combine(directory.FullName, "2.yml"), over);
            }
            return AgentSettingsReader.Load(directory.FullName, Variables(environment));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <summary>Reads exactly <paramref name="text"/>.</summary>
    public static AgentSettingsResult LoadAlone(string text)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, text);
            return AgentSettingsReader.Load(file, Variables([]));
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The settings of <see cref="Load"/>; fails with the errors when there are any.</summary>
    public static AgentSettings Settings(string over = "") =>
        Load(over) is { Settings: { } settings }
            ? settings
            : throw new InvalidOperationException(string.Join('\n', Load(over).Errors));

    private static SettingsEnvironment Variables((string Name, string Value)[] variables) => SettingsEnvironment.From(
        AgentSettingsReader.EnvironmentPrefix,
        variables.Select(variable => KeyValuePair.Create(variable.Name, variable.Value)));
}
