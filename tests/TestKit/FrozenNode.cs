namespace Routing.TestKit;

/// <summary>A node whose processes stand still, as on a machine that hangs; disposed of, they go on.</summary>
public sealed class FrozenNode : IDisposable
{
    private readonly IReadOnlyList<int> _pids;
    private readonly BlackHole? _hole;
    private bool _isOver;

    internal FrozenNode(IReadOnlyList<int> pids, bool isCutOff)
    {
        _pids = pids;
        foreach (var pid in pids)
        {
            OrdinaryProcess.Send(pid, ProcessSignal.Stop);
        }
        try
        {
            _hole = isCutOff ? BlackHole.Around(pids) : null;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Lets it go on.</summary>
    public void Dispose()
    {
        if (_isOver)
        {
            return;
        }
        _isOver = true;
        _hole?.Dispose();
        foreach (var pid in _pids)
        {
            OrdinaryProcess.Send(pid, ProcessSignal.Continue);
        }
    }
}
