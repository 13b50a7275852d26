namespace Routing.Proxy.Configuration;

/// <summary>
/// Enum values as the configuration, the metrics and the log write them: <c>TooManyPending</c> is
/// <c>too_many_pending</c>.
/// </summary>
internal static class Words
{
    /// <summary>The word of a value.</summary>
    public static string Of<T>(T value)
        where T : struct, Enum => ByValue<T>.All[value];

    /// <summary>The value of a word; null: it is none of them.</summary>
    public static T? Parse<T>(string word)
        where T : struct, Enum
    {
        foreach (var (value, known) in ByValue<T>.All)
        {
            if (known == word)
            {
                return value;
            }
        }
        return null;
    }

    private static class ByValue<T>
        where T : struct, Enum
    {
        public static readonly Dictionary<T, string> All =
            Enum.GetValues<T>().ToDictionary(one => one, one => Snake(one.ToString()));

        private static string Snake(string name) => string.Concat(name.Select((letter, at) =>
            char.IsUpper(letter) ? $"{(at > 0 ? "_" : "")}{char.ToLowerInvariant(letter)}" : $"{letter}"));
    }
}
