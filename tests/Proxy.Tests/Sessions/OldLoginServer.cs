using System.Security.Cryptography;
using System.Text;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>A server's side of logins by md5 and by a password in clear text, of the user alice.</summary>
internal static class OldLoginServer
{
    private static readonly byte[] s_salt = [1, 2, 3, 4];

    /// <summary>What <c>pg_authid</c> would hold.</summary>
    public static string VerifierOf(string password) => "md5" + Hash(Encoding.UTF8.GetBytes(password + "alice"));

    /// <summary>The answer to a challenge.</summary>
    public static string AnswerTo(byte[] salt, string password) =>
        "md5" + Hash([.. Encoding.UTF8.GetBytes(VerifierOf(password)[3..]), .. salt]);

    /// <summary>Demands a password; what is wrong is told as PostgreSQL does.</summary>
    public static async Task<bool> LogInAsync(Stream stream, string password, bool isMd5)
    {
        await stream.WriteAsync(BackendMessage.Of('R', isMd5 ? [0, 0, 0, 5, .. s_salt] : [0, 0, 0, 3]));
        var (_, answer) = await BackendMessage.ReadAsync(stream);
        if (Encoding.UTF8.GetString(answer) == (isMd5 ? AnswerTo(s_salt, password) : password) + "\0")
        {
            return true;
        }
        await stream.WriteAsync(BackendMessage.Error("28P01"));
        return false;
    }

#pragma warning disable CA5351 // the server's protocol
    private static string Hash(byte[] text) => Convert.ToHexStringLower(MD5.HashData(text));
#pragma warning restore CA5351
}
