using System.Buffers.Binary;
using System.Text;
using Routing.Cluster;

namespace Routing.Driver.Tests;

/// <summary>What a <see cref="PretendServer"/> answers.</summary>
internal sealed record Reply
{
    public string? Code { get; private init; }

    public bool IsLost { get; private init; }

    public int Oid { get; private init; }

    public byte[]? Value { get; private init; }

    /// <summary>The connection is cut instead of an answer.</summary>
    public static Reply Lost { get; } = new() { IsLost = true };

    public static Reply Error(string code) => new() { Code = code };

    public static Reply Of(string text) => new() { Oid = 25, Value = Encoding.UTF8.GetBytes(text) };

    public static Reply Of(bool value) => new() { Oid = 16, Value = [value ? (byte)1 : (byte)0] };

    public static Reply Of(Lsn position)
    {
        var value = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(value, position.Value);
        return new Reply { Oid = 3220, Value = value };
    }
}
