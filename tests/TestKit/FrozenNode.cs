namespace Routing.TestKit;

/// <summary>A node whose processes stand still, as on a machine that hangs; disposed of, they go on.</summary>
public sealed class FrozenNode : IDisposable
{
    private readonly List<int> _pids = [];
    private readonly BlackHole? _hole;
    private bool _isOver;

    /// <summary>Stops those who could start others first, and then what the postmaster has started.</summary>
    internal FrozenNode(IReadOnlyList<int> pids, int postmaster, bool isCutOff)
    {
        try
        {
            foreach (var pid in (int[])[.. pids, postmaster])
            {
                Stop(pid);
            }
            // It takes a moment until a signal is heeded: what was started in it is stopped, too.
            while (OrdinaryProcess.ChildrenOf(postmaster).Where(child => !_pids.Contains(child))
                .ToList() is { Count: > 0 } children)
            {
                children.ForEach(Stop);
            }
            _hole = isCutOff ? BlackHole.Around(_pids) : null;
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

    private void Stop(int pid)
    {
        _pids.Add(pid);
        OrdinaryProcess.Send(pid, ProcessSignal.Stop);
    }
}
