using Routing.Ha;

namespace Routing.Agent.Events;

/// <summary>
/// Finds out which answers of other members are new: while no member leads they are asked twice a second.
/// </summary>
internal sealed class RaceFilter
{
    private string _last = "";

    /// <summary>Whether a member answers something else than before; the answer then counts as told.</summary>
    public bool IsNews(LocalPostgres own, PeerAnswers answers)
    {
        var said = $"{own.WalPosition} {own.Timeline} " + string.Join(' ', answers.Reports.Values.Select(report =>
            $"{report.Name} {report.Reachable} {report.IsPrimary} {report.Position} {report.Timeline}"));
        if (said == _last)
        {
            return false;
        }
        _last = said;
        return true;
    }

    /// <summary>Another race.</summary>
    public void Forget() => _last = "";
}
