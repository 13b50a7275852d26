using Routing.Cli.Rest;
using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>Waits until members have replaced their data, by what their REST API says of them.</summary>
/// <remarks>
/// A member takes a moment before it says <c>creating replica</c>. So a copy counts as made when the server runs and is
/// not the one that ran before, or when <c>creating replica</c> was seen and is over.
/// </remarks>
internal sealed class CopyWatch(Session session)
{
    private const string Creating = "creating replica";

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_tellEvery = TimeSpan.FromSeconds(10);

    private readonly List<Copy> _copies = [];

    /// <summary>Notes which server runs now: to be called before the copy is asked for.</summary>
    public async Task RememberAsync(Member member, CancellationToken cancellationToken) =>
        _copies.Add(new Copy(member, (await StatusAsync(member, cancellationToken))?.StartedAt));

    /// <summary>The member makes no copy.</summary>
    public void Forget(Member member) => _copies.RemoveAll(copy => copy.Member.Name == member.Name);

    /// <summary>Waits for all, and says of each when it is done.</summary>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        if (_copies.Count == 0)
        {
            return;
        }
        using var timer = new PeriodicTimer(s_interval, session.Time);
        SayWhoIsMissing();
        while (true)
        {
            var done = new List<Copy>();
            foreach (var copy in _copies)
            {
                var status = await StatusAsync(copy.Member, cancellationToken);
                copy.WasSeen |= status is { State: Creating };
                Tell(copy, status?.Progress);
                if (status is not null && IsDone(copy, status))
                {
                    session.Screen.WriteLine($"Reinitialize is completed on: {copy.Member.Name}");
                    done.Add(copy);
                }
            }
            _copies.RemoveAll(done.Contains);
            if (_copies.Count == 0)
            {
                return;
            }
            if (done.Count > 0)
            {
                SayWhoIsMissing();
            }
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    private static bool IsDone(Copy copy, MemberStatus status) =>
        status is { State: "running", StartedAt: not null } && (copy.WasSeen || status.StartedAt != copy.StartedBefore);

    /// <summary>Says how far a copy is, when that has changed and was not said a moment ago.</summary>
    private void Tell(Copy copy, string? progress)
    {
        var now = session.Time.GetTimestamp();
        var wasJustTold = copy.Told is not null && session.Time.GetElapsedTime(copy.ToldAt, now) < s_tellEvery;
        if (progress is null || progress == copy.Told || wasJustTold)
        {
            return;
        }
        (copy.Told, copy.ToldAt) = (progress, now);
        session.Screen.WriteLine($"{copy.Member.Name}: {progress}");
        session.Screen.Output.Flush();
    }

    private void SayWhoIsMissing()
    {
        session.Screen.WriteLine(
            $"Waiting for reinitialize to complete on: {string.Join(", ", _copies.Select(copy => copy.Member.Name))}");
        session.Screen.Output.Flush();
    }

    /// <summary>Null while the member does not answer: its agent may be restarted meanwhile.</summary>
    private async Task<MemberStatus?> StatusAsync(Member member, CancellationToken cancellationToken)
    {
        try
        {
            return await MemberStatus.AskAsync(session.Api, member, cancellationToken);
        }
        catch (NoAnswerException e)
        {
            session.LogNoAnswer(e.Message);
            return null;
        }
    }

    private sealed class Copy(Member member, string? startedBefore)
    {
        public Member Member => member;

        public string? StartedBefore => startedBefore;

        public bool WasSeen { get; set; }

        public string? Told { get; set; }

        public long ToldAt { get; set; }
    }
}
