using System.Collections.Immutable;
using System.Globalization;
using Routing.Agent.Status;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Times the phases of a change of leader that this member wins.</summary>
internal sealed class FailoverClock
{
    private TimeSpan? _withoutLeader;
    private TimeSpan? _elected;

    /// <summary>The phases of the last one; empty before the first.</summary>
    public ImmutableArray<FailoverPhase> Last { get; private set; } = [];

    /// <summary>Looks at one observation.</summary>
    /// <returns>One sentence when a promotion has just been completed.</returns>
    public string? See(Observation o)
    {
        if (o.Leader is null)
        {
            _withoutLeader ??= o.Now;
            _elected = null;
            return null;
        }
        if (o.Leader != o.Self)
        {
            (_withoutLeader, _elected) = (null, null);
            return null;
        }
        if (_withoutLeader is not { } began)
        {
            return null;
        }
        if (!o.Local.IsPrimary)
        {
            _elected ??= o.Now;
            return null;
        }
        var elected = _elected ?? o.Now;
        (_withoutLeader, _elected) = (null, null);
        Last = [new FailoverPhase("elected", elected - began), new FailoverPhase("promoted", o.Now - elected)];
        return string.Create(
            CultureInfo.InvariantCulture,
            $"elected {(elected - began).TotalMilliseconds:F0} ms after the key was free, primary "
                + $"{(o.Now - elected).TotalMilliseconds:F0} ms later");
    }
}
