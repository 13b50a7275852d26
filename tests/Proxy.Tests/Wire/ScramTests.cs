using System.Security.Cryptography;
using System.Text;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Tests.Wire;

/// <summary>SCRAM-SHA-256, by the example of RFC 7677.</summary>
public sealed class ScramTests
{
    private const string ClientFirst = "n=user,r=rOprNGfwEbeRWgbNEkqO";
    private const string ServerFirst =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    private const string ClientFinal = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    private const string Proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    private const string ServerSignature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    private static readonly byte[] s_authMessage =
        Encoding.ASCII.GetBytes($"{ClientFirst},{ServerFirst},{ClientFinal}");

    [Fact]
    public void A_password_s_keys_prove_both_sides()
    {
        var (client, server) = Keys();
        var proof = new byte[Scram.KeyLength];

        Scram.Exchange(client, SHA256.HashData(client), s_authMessage, proof);

        Assert.Equal(Proof, Convert.ToBase64String(proof));
        Assert.Equal(ServerSignature, Convert.ToBase64String(HMACSHA256.HashData(server, s_authMessage)));
    }

    [Fact]
    public void The_client_key_is_found_in_the_proof_by_who_has_the_verifier_and_by_nobody_else()
    {
        var (client, _) = Keys();
        var (found, other) = (new byte[Scram.KeyLength], new byte[Scram.KeyLength]);

        Assert.True(Scram.TryFindClientKey(
            Convert.FromBase64String(Proof), SHA256.HashData(client), s_authMessage, found));
        Assert.False(Scram.TryFindClientKey(
            Convert.FromBase64String(Proof), SHA256.HashData("another"u8), s_authMessage, other));

        Assert.Equal(client, found);
        Assert.Equal(new byte[Scram.KeyLength], other);
    }

    [Fact]
    public void An_observer_hears_the_exchange_however_it_is_cut()
    {
        var first = $"n,,{ClientFirst}";
        byte[] initial =
            [.. "SCRAM-SHA-256\0"u8, 0, 0, 0, (byte)first.Length, .. Encoding.ASCII.GetBytes(first)];
        byte[] client =
        [
            .. TestKit.BackendMessage.Of('p', initial),
            .. TestKit.BackendMessage.Of('p', Encoding.ASCII.GetBytes($"{ClientFinal},p={Proof}")),
            .. TestKit.BackendMessage.Of('Q', "select 1\0"u8),
        ];
        for (var cut = 0; cut <= client.Length; cut++)
        {
            var observer = new LoginObserver(new KeyVault(LoginObserver.LongestPassword));
            observer.FromServer([0, 0, 0, 10, .. "SCRAM-SHA-256\0\0"u8]);
            observer.FromClient(client.AsSpan(0, cut));
            observer.FromServer([0, 0, 0, 11, .. Encoding.ASCII.GetBytes(ServerFirst)]);
            observer.FromClient(client.AsSpan(cut));

            var exchange = (ScramExchange)observer.Take()!;

            Assert.Equal(s_authMessage, exchange.AuthMessage);
            Assert.Equal(Proof, Convert.ToBase64String(exchange.Proof));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("md5 of something")]
    [InlineData("SCRAM-SHA-256$4096:c2FsdA==$short:short")]
    [InlineData("SCRAM-SHA-256$4096:c2FsdA==$aaaa")]
    public void What_is_no_verifier_is_none(string text) => Assert.Null(ScramVerifier.Parse(text));

    [Fact]
    public void A_key_that_is_not_needed_any_more_is_gone()
    {
        var vault = new KeyVault();
        var keys = Enumerable.Range(0, 300)
            .Select(at => vault.Keep(SHA256.HashData(BitConverter.GetBytes(at)))).ToList();
        var copy = new byte[Scram.KeyLength];

        keys[7].Dispose();
        keys[7].Dispose();
        using var next = vault.Keep(SHA256.HashData("next"u8));

        Assert.False(keys[7].TryCopyTo(copy));
        foreach (var at in new[] { 0, 6, 8, 299 })
        {
            Assert.True(keys[at].TryCopyTo(copy));
            Assert.Equal(SHA256.HashData(BitConverter.GetBytes(at)), copy);
        }
        Assert.True(next.TryCopyTo(copy));
        Assert.Equal(SHA256.HashData("next"u8), copy);
    }

    private static (byte[] Client, byte[] Server) Keys()
    {
        var (client, server) = (new byte[Scram.KeyLength], new byte[Scram.KeyLength]);
        Scram.KeysOf("pencil", Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096, client, server);
        return (client, server);
    }
}
