namespace Routing.Proxy.Tls;

/// <summary>What went wrong with TLS, in words for people.</summary>
internal static class TlsProblem
{
    /// <summary>
    /// The sentence of the innermost exception, which knows the cause; the outer ones only say that there is one.
    /// </summary>
    public static string Of(Exception problem)
    {
        while (problem.InnerException is { } inner)
        {
            problem = inner;
        }
        return problem.Message;
    }
}
