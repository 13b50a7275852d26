namespace Routing.Agent.Loop;

/// <summary>Problems that each run of some work meets anew: the log gets them when they change.</summary>
internal sealed class ToldOnce
{
    private string _last = "";

    /// <summary>What is to be logged after a run.</summary>
    /// <param name="problems">The problems that the run met.</param>
    /// <returns>The problems in one text; null: there are none, or the run before met the same.</returns>
    public string? News(IEnumerable<string> problems)
    {
        var text = string.Join("; ", problems);
        var isNews = text != _last && text.Length > 0;
        _last = text;
        return isNews ? text : null;
    }
}
