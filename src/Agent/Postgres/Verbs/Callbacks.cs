using Routing.Agent.Postgres.Programs;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Runs the user's callbacks in the background.</summary>
internal sealed class Callbacks(ServerContext context) : IAsyncDisposable
{
    private readonly CallbackRunner _callbacks = new(context.Commands, context.Logger);

    /// <summary>Starts the callback of an action, if one is configured.</summary>
    public void Start(string action, Role role)
    {
        if (context.Settings.Latest?.Config.Callbacks.GetValueOrDefault(action) is not { } text)
        {
            return;
        }
        try
        {
            var shown = role == Role.Promoted ? Role.Primary : role;
            var scope = context.Settings.Local.Scope;
            _callbacks.Start(action, ProgramRunner.CommandFor(text, action, shown.ToWire(), scope));
        }
        catch (FormatException error)
        {
            context.Runner.LogScriptFailed(action, error.Message);
        }
    }

    public ValueTask DisposeAsync() => _callbacks.DisposeAsync();
}
