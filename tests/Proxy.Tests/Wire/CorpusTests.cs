using System.Buffers;
using System.Buffers.Binary;
using CsCheck;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Tests.Wire;

/// <summary>
/// The parsers on the committed corpus, and on whatever becomes of it by mutation: nothing throws, however it is cut.
/// </summary>
public sealed class CorpusTests
{
    // Each takes a second or less; for a night of it: ROUTING_FUZZ_ROUNDS.
    private static readonly long s_rounds =
        long.TryParse(Environment.GetEnvironmentVariable("ROUTING_FUZZ_ROUNDS"), out var rounds) ? rounds : 20_000;

    private static readonly IReadOnlyList<Entry> s_corpus = [
        .. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Wire", "Corpus.txt"))
        .Where(line => !line.StartsWith('#')).Select(line => line.Split('#')[0].Split(' '))
        .Select(words => new Entry(words[0], words[1], Convert.FromHexString(words[2])))];

    // A mutation: at a place, some bytes are taken away and others put there.
    private static readonly Gen<(int At, int Gone, byte[] New)[]> s_mutations =
        Gen.Select(Gen.Int[0, 400], Gen.Int[0, 5],
            Gen.OneOf(Gen.Byte.Array[0, 5], Gen.OneOf<byte[]>([0], [0xFF], [0, 0, 0, 4], [0x7F, 0xFF, 0xFF, 0xFF])))
            .Array[0, 4];

    private static readonly Gen<byte[]> s_bytes =
        Gen.Select(Gen.OneOf<byte[]>([.. s_corpus.Select(entry => entry.Bytes)]), s_mutations, Mutate);
    private static readonly Gen<int[]> s_cuts = Gen.Int[1, 12].Array[1, 20];

    [Fact]
    public void Every_entry_is_read_as_the_corpus_says() =>
        Assert.All(s_corpus, entry => Assert.Equal(entry.Expected, entry.Parser switch
    {
        "first" => FirstPacket.Read(new ReadOnlySequence<byte>(entry.Bytes)).Kind.ToString(),
        "proxy" => ProxyHeader.Read(new ReadOnlySequence<byte>(entry.Bytes)).Status.ToString(),
        "startup" => StartupMessage.TryRead(entry.Bytes, out _, out _) ? "good" : "bad",
        "server" => ServerOpening.Read(new ReadOnlySequence<byte>(entry.Bytes), mustBePrimary: true).Kind.ToString(),
        _ => "-",
    }));

    [Fact]
    public void What_is_decided_by_the_first_bytes_is_not_changed_by_more_of_them() => s_bytes.Sample(bytes =>
    {
        var first = new FirstPacket(FirstPacketKind.Incomplete);
        var header = ProxyHeaderStatus.Incomplete;
        var opening = new ServerOpening(ServerOpeningKind.Incomplete);
        for (var length = 0; length <= bytes.Length; length++)
        {
            var known = new ReadOnlySequence<byte>(bytes, 0, length);
            first = Later(first, FirstPacket.Read(known), first.Kind == FirstPacketKind.Incomplete);
            header = Later(header, ProxyHeader.Read(known).Status, header == ProxyHeaderStatus.Incomplete);
            opening = Later(opening, ServerOpening.Read(known, mustBePrimary: true),
                opening.Kind == ServerOpeningKind.Incomplete);
        }

        static T Later<T>(T before, T now, bool mayChange)
        {
            Assert.True(mayChange || Equals(before, now), $"{before} became {now}");
            return now;
        }
    }, iter: s_rounds);

    [Fact]
    public void However_the_bytes_are_cut_into_segments_the_parsers_see_the_same() =>
        Gen.Select(s_bytes, s_cuts).Sample((bytes, cuts) =>
    {
        var (whole, cut) = (new ReadOnlySequence<byte>(bytes), Segments(bytes, cuts));
        Assert.Equal(FirstPacket.Read(whole), FirstPacket.Read(cut));
        Assert.Equal(ProxyHeader.Read(whole), ProxyHeader.Read(cut));
        Assert.Equal(ServerOpening.Read(whole, mustBePrimary: true), ServerOpening.Read(cut, mustBePrimary: true));
    }, iter: s_rounds);

    [Fact]
    public void However_the_bytes_arrive_a_login_is_relayed_the_same() =>
        Gen.Select(s_bytes, s_cuts, Gen.Bool).Sample((bytes, cuts, drops) =>
    {
        var (state, output) = Login(bytes, [bytes.Length + 1], drops);
        var (stateByPieces, outputByPieces) = Login(bytes, cuts, drops);

        Assert.Equal(state, stateByPieces);
        Assert.Equal(output, outputByPieces);
        Assert.True(drops || bytes.AsSpan().StartsWith(output), "something was invented");
    }, iter: s_rounds);

    [Fact]
    public void However_the_bytes_arrive_the_tap_comes_to_the_same_and_never_throws() =>
        Gen.Select(s_bytes, s_bytes, s_cuts).Sample((up, down, cuts) =>
    {
        var (whole, pieces) = (new SessionTap(), new SessionTap());
        whole.FromServer(down);
        whole.FromClient(up);
        foreach (var piece in Pieces(down, cuts))
        {
            pieces.FromServer(piece);
        }
        foreach (var piece in Pieces(up, cuts))
        {
            pieces.FromClient(piece);
        }

        Assert.Equal(
            (whole.Outstanding, whole.Status, whole.AtRest, whole.ClientAtBoundary, whole.ServerAtBoundary,
                whole.IsOutcomeOpen, whole.EndedWithError, whole.IsTerminated),
            (pieces.Outstanding, pieces.Status, pieces.AtRest, pieces.ClientAtBoundary, pieces.ServerAtBoundary,
                pieces.IsOutcomeOpen, pieces.EndedWithError, pieces.IsTerminated));
    }, iter: s_rounds);

    [Fact]
    public void A_start_up_that_is_taken_stays_good_with_an_address_in_it() => s_bytes.Sample(bytes =>
    {
        if (bytes.Length < 8 || !StartupMessage.TryRead(bytes, out var message, out _) || message is null)
        {
            return;
        }
        var changed = StartupMessage.WithClientAddress(bytes, "[2001:db8::1]:40000");

        Assert.Equal(changed.Length, BinaryPrimitives.ReadInt32BigEndian(changed));
        Assert.True(StartupMessage.TryRead(changed, out var again, out var fault), fault?.Sentence);
        Assert.Equal((message.User, message.Database, message.Replication),
            (again!.User, again.Database, again.Replication));
    }, iter: s_rounds);

    private static byte[] Mutate(byte[] bytes, (int At, int Gone, byte[] New)[] mutations)
    {
        var result = bytes.ToList();
        foreach (var (at, gone, added) in mutations)
        {
            var place = at % (result.Count + 1);
            result.RemoveRange(place, Math.Min(gone, result.Count - place));
            result.InsertRange(place, added);
        }
        return [.. result];
    }

    // What the login does: it shows what is left again, with more behind it.
    private static (LoginState State, byte[] Output) Login(byte[] bytes, int[] cuts, bool drops)
    {
        var filter = new LoginFilter(new SessionTap(), mustBePrimary: true, drops);
        var output = new ArrayBufferWriter<byte>();
        var (state, held) = (LoginState.Running, Array.Empty<byte>());
        foreach (var piece in Pieces(bytes, cuts))
        {
            var buffer = new ReadOnlySequence<byte>([.. held, .. piece]);
            state = filter.Process(ref buffer, output);
            held = buffer.ToArray();
            if (state != LoginState.Running)
            {
                break;
            }
        }
        return (state, output.WrittenSpan.ToArray());
    }

    private static IEnumerable<byte[]> Pieces(byte[] bytes, int[] cuts)
    {
        for (int at = 0, turn = 0; at < bytes.Length; turn++)
        {
            var length = Math.Min(cuts[turn % cuts.Length], bytes.Length - at);
            yield return bytes.AsSpan(at, length).ToArray();
            at += length;
        }
    }

    private static ReadOnlySequence<byte> Segments(byte[] bytes, int[] cuts)
    {
        Segment? first = null, last = null;
        foreach (var piece in Pieces(bytes, cuts))
        {
            last = new Segment(piece, last);
            first ??= last;
        }
        return first is null ? default : new ReadOnlySequence<byte>(first, 0, last!, last!.Memory.Length);
    }

    private sealed record Entry(string Parser, string Expected, byte[] Bytes);

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(byte[] bytes, Segment? before)
        {
            Memory = bytes;
            if (before is not null)
            {
                RunningIndex = before.RunningIndex + before.Memory.Length;
                before.Next = this;
            }
        }
    }
}
