using System.Security.Cryptography;
using System.Text;
using Routing.Proxy.Wire;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>The server's side of SCRAM-SHA-256.</summary>
internal static class ScramServer
{
    private const int Iterations = 4096;
    private static readonly byte[] s_salt = "sixteen bytes ok"u8.ToArray();

    /// <summary>What <c>pg_authid</c> would hold.</summary>
    public static string VerifierOf(string password)
    {
        var (stored, server) = KeysOf(password);
        return $"SCRAM-SHA-256${Iterations}:{Convert.ToBase64String(s_salt)}$"
            + $"{Convert.ToBase64String(stored)}:{Convert.ToBase64String(server)}";
    }

    /// <summary>Demands a password; what is wrong is told as PostgreSQL does.</summary>
    public static async Task<bool> LogInAsync(Stream stream, string password)
    {
        await stream.WriteAsync(BackendMessage.Of('R', [0, 0, 0, 10, .. "SCRAM-SHA-256\0\0"u8]));
        var (_, initial) = await BackendMessage.ReadAsync(stream);
        var first = Encoding.ASCII.GetString(initial, 18, initial.Length - 18);
        var bare = first[3..];
        var nonce = bare[(bare.IndexOf("r=", StringComparison.Ordinal) + 2)..] + "server";
        var challenge = $"r={nonce},s={Convert.ToBase64String(s_salt)},i={Iterations}";
        await stream.WriteAsync(BackendMessage.Of('R', [0, 0, 0, 11, .. Encoding.ASCII.GetBytes(challenge)]));
        var (_, answer) = await BackendMessage.ReadAsync(stream);
        var final = Encoding.ASCII.GetString(answer);
        var at = final.LastIndexOf(",p=", StringComparison.Ordinal);
        var authMessage = Encoding.ASCII.GetBytes($"{bare},{challenge},{final[..at]}");
        var (stored, server) = KeysOf(password);
        var key = new byte[Scram.KeyLength];
        if (!Scram.TryFindClientKey(Convert.FromBase64String(final[(at + 3)..]), stored, authMessage, key))
        {
            await stream.WriteAsync(BackendMessage.Error("28P01"));
            return false;
        }
        var signature = Convert.ToBase64String(HMACSHA256.HashData(server, authMessage));
        await stream.WriteAsync(BackendMessage.Of('R', [0, 0, 0, 12, .. Encoding.ASCII.GetBytes($"v={signature}")]));
        return true;
    }

    private static (byte[] Stored, byte[] Server) KeysOf(string password)
    {
        var (client, server) = (new byte[Scram.KeyLength], new byte[Scram.KeyLength]);
        Scram.KeysOf(password, s_salt, Iterations, client, server);
        return (SHA256.HashData(client), server);
    }
}
