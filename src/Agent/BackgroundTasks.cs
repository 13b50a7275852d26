namespace Routing.Agent;

/// <summary>The owner of what runs beside the loop.</summary>
internal static class BackgroundTasks
{
    /// <summary>
    /// Waits for the loop's end. Whatever else ends before, by an exception or by itself, ends the process too, and a
    /// primary is left to the fence: nobody guards it any more.
    /// </summary>
    /// <param name="looping">The loop, with the exit code that it decides on.</param>
    /// <param name="naming">
    /// Whether the member's name is taken by another agent: it ends early, and only true ends the process.
    /// </param>
    /// <param name="guarding">What never ends before the loop.</param>
    /// <param name="broke">Called with the exception of what ended; null when it had none.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="Exception">The loop's own.</exception>
    public static async Task<int> UntilOneEndsAsync(
        Task<int> looping, Task<bool> naming, Task[] guarding, Action<Exception?> broke)
    {
        var ended = await Task.WhenAny([looping, naming, .. guarding]);
        if (ended == naming && naming.IsCompletedSuccessfully)
        {
            if (await naming)
            {
                return 1;
            }
            ended = await Task.WhenAny([looping, .. guarding]);
        }
        if (ended == looping)
        {
            return await looping;
        }
        broke(ended.Exception);
        return 1;
    }
}
