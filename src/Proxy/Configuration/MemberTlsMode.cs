namespace Routing.Proxy.Configuration;

/// <summary>Whether connections to members are encrypted and what is verified; as libpq's <c>sslmode</c>.</summary>
internal enum MemberTlsMode
{
    /// <summary>Clear text.</summary>
    Off,

    /// <summary>Encrypted; any certificate will do.</summary>
    Require,

    /// <summary>The certificate must come from a known authority.</summary>
    VerifyCa,

    /// <summary>And it must be made out to the name that the member publishes.</summary>
    VerifyFull,
}
