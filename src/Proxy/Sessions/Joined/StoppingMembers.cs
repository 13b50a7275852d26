namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// Shares among sessions whether a member is stopping: all of its sessions hear the same words at one moment. Any
/// thread.
/// </summary>
internal sealed class StoppingMembers
{
    private readonly Dictionary<string, Task<bool>> _questions = new(StringComparer.Ordinal);

    /// <summary>Whether a member is stopping.</summary>
    /// <param name="member">The member's name.</param>
    /// <param name="ask">
    /// Asks it. Not called when a question that another session has asked is answered with yes: a no counts only for
    /// words that came before its question.
    /// </param>
    public async ValueTask<bool> AskAsync(string member, Func<Task<bool>> ask)
    {
        if (Running(member) is { } earlier && await AnswerOfAsync(earlier) == true)
        {
            return true;
        }
        while (true)
        {
            var own = Share(member, ask, out var isMine);
            if (await AnswerOfAsync(own) is { } answer)
            {
                return answer;
            }
            if (isMine)
            {
                return await own;   // the fault is this session's
            }
        }
    }

    private Task<bool> Share(string member, Func<Task<bool>> ask, out bool isMine)
    {
        lock (_questions)
        {
            // A question that another session has begun meanwhile counts as its own.
            var known = _questions.GetValueOrDefault(member);
            isMine = known is null or { IsCompleted: true };
            return isMine ? _questions[member] = ask() : known!;
        }
    }

    private Task<bool>? Running(string member)
    {
        lock (_questions)
        {
            return _questions.GetValueOrDefault(member) is { IsCompleted: false } question ? question : null;
        }
    }

    // Null: there is none, for the client of the session that asked went away.
    private static async Task<bool?> AnswerOfAsync(Task<bool> question)
    {
        await ((Task)question).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return question.IsCompletedSuccessfully ? await question : null;
    }
}
