namespace Routing.Dcs;

/// <summary>The DCS did not answer in time, or refused.</summary>
public sealed class ClusterStoreException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">The endpoint, what was asked, what came back.</param>
    /// <param name="innerException">The cause.</param>
    public ClusterStoreException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <summary>True for a definite refusal (credentials, permission, space); false when there was no answer.</summary>
    public bool IsRefusal { get; init; }

    /// <summary>True when the user, the password or the user's rights are what is wrong.</summary>
    public bool IsOfLogin { get; init; }
}
