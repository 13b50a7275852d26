namespace Routing.Proxy.Wire;

/// <summary>
/// The SQLSTATE codes that the proxy says or acts on (the manual's appendix "PostgreSQL Error Codes").
/// </summary>
internal static class SqlState
{
    public const string ConnectionFailure = "08006";
    public const string TransactionResolutionUnknown = "08007";
    public const string ProtocolViolation = "08P01";
    public const string FeatureNotSupported = "0A000";
    public const string InvalidParameterValue = "22023";
    public const string ReadOnlyTransaction = "25006";
    public const string InvalidAuthorization = "28000";
    public const string TooManyConnections = "53300";
    public const string AdminShutdown = "57P01";
    public const string CrashShutdown = "57P02";
    public const string CannotConnectNow = "57P03";
    public const string IdleSessionTimeout = "57P05";
}
