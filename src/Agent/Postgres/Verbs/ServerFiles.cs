using Routing.Agent.Postgres.Configuration;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Writes the files that configure the server: one writer at a time.</summary>
internal sealed class ServerFiles(ServerContext context) : IDisposable
{
    /// <summary>The parameter whose value is the agent's while a synchronous mode is on.</summary>
    public const string SynchronousNames = "synchronous_standby_names";

    private readonly SemaphoreSlim _gate = new(1, 1);
    private string? _synchronousNames;
    private bool _knowsSynchronousNames;
    private volatile bool _owesCopies;

    public void Dispose() => _gate.Dispose();

    /// <summary>What the next writing puts into the file; null: the value is the operator's.</summary>
    public async Task SetSynchronousNamesAsync(string? names, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        (_synchronousNames, _knowsSynchronousNames) = (names, true);
        _gate.Release();
    }

    /// <summary>
    /// Writes the files for the role that the server has now, with its present upstream. True: one has changed.
    /// </summary>
    public Task<bool> RewriteAsync(EffectiveSettings effective, CancellationToken cancellationToken)
    {
        var asPrimary = effective.Role == Role.Primary;
        var upstream = asPrimary
            ? null
            : RecoverySettings.Read(context.Files.Find("primary_conninfo"), context.Files.Find("primary_slot_name"));
        var raised = asPrimary ? [] : StandbyLimits.Raised(effective.Config, context.DataDirectory);
        return WriteAsync(effective, asPrimary, upstream, raised, cancellationToken);
    }

    /// <summary>Writes the files of a role. True: one of them has changed.</summary>
    public async Task<bool> WriteAsync(
        EffectiveSettings effective, bool asPrimary, Upstream? upstream, IReadOnlyDictionary<string, string> raised,
        CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            var recovery = asPrimary
                ? []
                : RecoverySettings.ForStandby(effective.Local, effective.Config, upstream, effective.Major);
            if (upstream is not null)
            {
                PasswordFile.Write(context.Settings.Postgres.PasswordFile, upstream.Addresses, context.Users);
            }
            var changed = await context.Files.WriteAsync(
                new FilePlan(effective.Config, recovery, ManagedSynchronousNames(effective.Dynamic), raised),
                file => context.Programs.ComplaintAsync(file, context.DataDirectory, cancellationToken));
            _owesCopies |= changed;
            return changed;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>The server has accepted the files: their copies are the last good ones from now on.</summary>
    public void KeepCopies()
    {
        if (_owesCopies)
        {
            context.Files.SaveCopies();
            _owesCopies = false;
        }
    }

    /// <summary>Writes the files of a server that recovers what a bootstrap script has brought.</summary>
    public async Task WriteAsync(FilePlan plan, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            await context.Files.WriteAsync(
                plan, file => context.Programs.ComplaintAsync(file, context.DataDirectory, cancellationToken));
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>
    /// While a synchronous mode is on the value is the agent's, and stands in the file also when it is empty: else an
    /// included file would override it. An agent that has just started finds its predecessor's there: without it a
    /// commit could be acknowledged that no standby has. Null: the value is the operator's.
    /// </summary>
    private string? ManagedSynchronousNames(DynamicConfig dynamic)
    {
        var isOn = dynamic.SynchronousMode != SynchronousMode.Off;
        if (!_knowsSynchronousNames)
        {
            _knowsSynchronousNames = true;
            _synchronousNames = isOn ? context.Files.Find(SynchronousNames) : null;
        }
        return isOn ? _synchronousNames ?? "" : _synchronousNames;
    }
}
