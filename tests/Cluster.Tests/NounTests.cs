using Routing.Cluster.Text;

namespace Routing.Cluster.Tests;

public class NounTests
{
    [Theory]
    [InlineData("0/0", 0UL)]
    [InlineData("16/B374D848", 0x16B374D848UL)]
    [InlineData("FFFFFFFF/FFFFFFFF", ulong.MaxValue)]
    public void A_position_is_printed_as_postgres_prints_it(string text, ulong value)
    {
        Assert.Equal(text, new Lsn(value).ToString());
        Assert.Equal(new Lsn(value), Lsn.Parse(text));
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("/1")]
    [InlineData("1/")]
    [InlineData("1/123456789")]
    [InlineData("g/0")]
    [InlineData("-1/0")]
    public void What_is_no_position_is_refused(string text)
    {
        Assert.False(Lsn.TryParse(text, out _));
        Assert.Throws<FormatException>(() => Lsn.Parse(text));
    }

    [Fact]
    public void Positions_compare_and_subtract_without_wrapping()
    {
        var (low, high) = (new Lsn(5), new Lsn(9));

        Assert.Equal((4UL, 0UL), (high.BytesAheadOf(low), low.BytesAheadOf(high)));
        Assert.True(low < high && high > low && low <= high && high >= low);
        Assert.Equal(high, Lsn.Max(low, high));
    }

    [Theory]
    [InlineData("db", "db", 5432)]
    [InlineData("db:6000", "db", 6000)]
    [InlineData(" 192.0.2.1:1 ", "192.0.2.1", 1)]
    [InlineData("[2001:db8::1]:65535", "2001:db8::1", 65535)]
    [InlineData("[2001:db8::1]", "2001:db8::1", 5432)]
    [InlineData("2001:db8::1", "2001:db8::1", 5432)]
    [InlineData("::1:5433", "::1", 5433)]
    [InlineData("2001:db8::1:6000", "2001:db8::1", 6000)]
    [InlineData("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", 5432)]
    [InlineData("1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8", 9)]
    [InlineData("::ffff:192.0.2.1:9", "::ffff:192.0.2.1", 9)]
    [InlineData("fe80::1%eth0", "fe80::1%eth0", 5432)]
    [InlineData("::", "::", 5432)]
    public void Host_and_port_are_parted(string text, string host, int port)
    {
        Assert.True(HostPort.TryParse(text, 5432, out var result));
        Assert.Equal(new HostPort(host, port), result);
        Assert.True(HostPort.TryParse(result.ToString(), 1, out var again) && again == result);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(":5432")]
    [InlineData("db:")]
    [InlineData("db:0")]
    [InlineData("db:65536")]
    [InlineData("db:x")]
    [InlineData("[::1")]
    [InlineData("[::1]x")]
    [InlineData("[]:1")]
    [InlineData("db:5432:5433")]
    [InlineData("http://db:5432")]
    [InlineData("a,b:5432")]
    [InlineData("a b:5432")]
    [InlineData("::1::2")]
    [InlineData("12345::1")]
    public void What_is_no_host_and_port_is_refused(string? text) => Assert.False(HostPort.TryParse(text, 5432, out _));

    [Theory]
    [InlineData("::1:5433", true)]
    [InlineData("::1", false)]
    [InlineData("[::1]:5433", false)]
    [InlineData("::1:65536", false)]
    [InlineData("db:5432", false)]
    public void An_address_that_means_two_things_is_known_as_such(string text, bool ambiguous) =>
        Assert.Equal(ambiguous, HostPort.IsAmbiguous(text));

    [Theory]
    [InlineData("node1", "node1")]
    [InlineData("PG-a.example", "pg_a_example")]
    [InlineData("a b", "au0032b")]
    [InlineData("ü", "u0252")]
    [InlineData("😀", "u128512")]
    public void A_slot_has_the_name_of_its_member_in_allowed_characters(string member, string slot) =>
        Assert.Equal(slot, ReplicationSlotName.FromMember(member));

    [Fact]
    public void A_slot_name_is_cut_to_what_postgres_allows() =>
        Assert.Equal(new string('x', 63), ReplicationSlotName.FromMember(new string('X', 80)));

    [Theory]
    [InlineData("service", "shop", "/service/shop")]
    [InlineData("/db//x/", "shop", "/db/x/shop")]
    [InlineData("", "shop", "/service/shop")]
    [InlineData(null, "shop", "/service/shop")]
    public void The_base_path_has_single_slashes(string? space, string scope, string path) =>
        Assert.Equal(path, ClusterKeys.BasePath(space, scope));

    [Theory]
    [InlineData("16MB", 16_777_216L)]
    [InlineData("1.5 kB", 1536L)]
    [InlineData("-1", -1L)]
    [InlineData("9223372036854775807", long.MaxValue)]
    [InlineData("2TB", 2_199_023_255_552L)]
    [InlineData("3B", 3L)]
    [InlineData("2.5", 2L)]
    public void Sizes_are_read_as_postgres_reads_them(string text, long bytes)
    {
        Assert.True(PostgresUnits.TryParseBytes(text, out var result));
        Assert.Equal(bytes, result);
    }

    [Theory]
    [InlineData("30min", 1800L)]
    [InlineData(" 5 s ", 5L)]
    [InlineData("1.5h", 5400L)]
    [InlineData("2d", 172_800L)]
    [InlineData("1700ms", 2L)]
    [InlineData("90", 90L)]
    public void Times_are_read_as_postgres_reads_them(string text, long seconds)
    {
        Assert.True(PostgresUnits.TryParseSeconds(text, out var result));
        Assert.Equal(seconds, result);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("MB")]
    [InlineData("10mb")]
    [InlineData("10min")]
    [InlineData("1e3kB")]
    [InlineData("9999999999999TB")]
    [InlineData("NaN")]
    public void What_is_no_size_is_refused(string? text) => Assert.False(PostgresUnits.TryParseBytes(text, out _));

    [Theory]
    [InlineData(30, 10, 10, 30, 10, 10)]
    [InlineData(5, 0, 1, 20, 1, 3)]
    [InlineData(20, 10, 10, 20, 1, 9)]
    [InlineData(30, 20, 10, 30, 10, 10)]
    [InlineData(21, 10, 10, 21, 1, 10)]
    [InlineData(60, 10, 40, 60, 1, 29)]
    [InlineData(-7, -7, -7, 20, 1, 3)]
    public void Times_that_do_not_fit_are_bent_until_they_do(
        int ttl, int loop, int retry, int ttlThen, int loopThen, int retryThen) =>
        Assert.Equal(Times(ttlThen, loopThen, retryThen), Times(ttl, loop, retry).Corrected(Timing.CommonMinimum));

    [Fact]
    public void Corrected_times_always_fit_into_the_lease()
    {
        var every =
            from ttl in Enumerable.Range(0, 60)
            from loop in Enumerable.Range(0, 30)
            from retry in Enumerable.Range(0, 40)
            from minimum in (Timing[])[Timing.CommonMinimum, Timing.FencedMinimum]
            select (Times(ttl, loop, retry), minimum);

        foreach (var (times, minimum) in every)
        {
            var corrected = times.Corrected(minimum);
            if (corrected.LoopWait + (2 * corrected.RetryTimeout) > corrected.Ttl || corrected.Ttl < minimum.Ttl
                || corrected.LoopWait < TimeSpan.FromSeconds(1) || corrected.RetryTimeout < TimeSpan.FromSeconds(1)
                || corrected != corrected.Corrected(minimum))
            {
                Assert.Fail($"{times} gives {corrected}");
            }
        }
    }

    [Theory]
    [InlineData("2026-12-01T03:00:00+00:00", "2026-12-01T03:00:00+00:00")]
    [InlineData("2026-12-01T03:00:00Z", "2026-12-01T03:00:00+00:00")]
    [InlineData("2026-12-01 03:00:00.5+02", "2026-12-01T03:00:00.500000+02:00")]
    [InlineData("2026-12-01T03:00-05:30", "2026-12-01T03:00:00-05:30")]
    [InlineData("2026-12-01T03:00", "2026-12-01T03:00:00+00:00")]
    [InlineData("2026-12-01", "2026-12-01T00:00:00+00:00")]
    public void Times_are_read_in_their_usual_forms(string text, string iso)
    {
        Assert.True(IsoTime.TryParse(text, out var time));
        Assert.Equal(iso, IsoTime.Format(time));
    }

    [Theory]
    [InlineData("03:00")]
    [InlineData("now")]
    [InlineData("")]
    [InlineData(null)]
    public void What_has_no_date_is_no_time(string? text) => Assert.False(IsoTime.TryParse(text, out _));

    private static Timing Times(int ttl, int loop, int retry) =>
        new(TimeSpan.FromSeconds(ttl), TimeSpan.FromSeconds(loop), TimeSpan.FromSeconds(retry));
}
