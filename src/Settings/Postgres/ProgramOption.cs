namespace Routing.Settings.Postgres;

/// <summary>One long option of a PostgreSQL program.</summary>
/// <param name="Name">Without dashes, for example <c>data-checksums</c>.</param>
/// <param name="Value">Its value, or null for a flag.</param>
public sealed record ProgramOption(string Name, string? Value)
{
    /// <summary><c>--name</c> or <c>--name=value</c>.</summary>
    public override string ToString() => Value is null ? $"--{Name}" : $"--{Name}={Value}";
}
