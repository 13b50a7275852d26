using System.Globalization;

namespace Routing.Driver;

/// <summary>One failed attempt to connect to a member.</summary>
/// <param name="Member">Its name.</param>
/// <param name="Host">Its host.</param>
/// <param name="Port">Its port.</param>
/// <param name="After">When the attempt ended, from the beginning of the open.</param>
/// <param name="Problem">What came of it.</param>
public sealed record OpenAttempt(string Member, string Host, int Port, TimeSpan After, string Problem)
{
    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture,
            $"{Member} ({Host}:{Port}) after {After.TotalSeconds:0.0##} s: {Problem}");
}
