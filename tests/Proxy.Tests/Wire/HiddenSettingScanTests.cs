using System.Text;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Tests.Wire;

public sealed class HiddenSettingScanTests
{
    [Theory]
    [InlineData("set app.tenant = '7'")]
    [InlineData("SET App.Tenant TO 7")]
    [InlineData("set local app.tenant = '7'")]
    [InlineData("/* first */ SET SESSION \"app.tenant\" = '7'")]
    [InlineData("set\n\tapp . tenant = 7")]
    [InlineData("set/**/app.tenant = 7")]
    [InlineData("set work_mem /* = */ = '7MB'")]   // a false alarm
    [InlineData("set app -- =\n.tenant = 7")]
    [InlineData("begin; sEt app.tenant = 7; commit")]
    [InlineData("update t set a = 1; set app.tenant = 7")]
    [InlineData("do $$begin set app.tenant = 7; end$$")]
    [InlineData("select set_config('app.tenant', '7', false)")]
    [InlineData("select pg_catalog.Set_Config($1, $2, $3)")]
    [InlineData("select \"set_config\"('a.b', 'c', false)")]
    [InlineData("select 1 as sset, settings, offset_config, set_config('a.b', 'c', true)")]
    public void What_may_set_a_custom_setting_is_seen_however_it_comes_in_parts(string sql) =>
        Assert.All(Ways(sql), Assert.True);

    [Theory]
    [InlineData("select 1")]
    [InlineData("")]
    [InlineData("set work_mem = '7.5MB'")]
    [InlineData("SET search_path = a, b, pg_temp")]
    [InlineData("set time zone 'Europe/Berlin'")]
    [InlineData("SET application_name TO 'shop 1.2'")]
    [InlineData("set toto.x to 1.2", true)]
    [InlineData("set time zone 5.5", true)]   // a false alarm
    [InlineData("update t set a = t.b, c = 1.5 where d.e = 2")]
    [InlineData("select a.offset, a.set_conf, b.reset_config, b.setting from a.b limit 1 offset 1.5")]
    [InlineData("insert into a.b values (1.5) on conflict do update set x = excluded.y")]
    [InlineData("select sett.x, asset.y, reset.z, set$a.b, _set.c, größset.d")]
    public void What_sets_none_is_not(string sql, bool isAlarm = false) =>
        Assert.All(Ways(sql), seen => Assert.Equal(isAlarm, seen));

    [Fact]
    public void A_long_text_is_looked_at_to_its_end()
    {
        for (var before = 480; before < 560; before++)
        {
            var filler = new string('x', before - 1) + ' ';
            Assert.All(Ways(filler + "set app.tenant = 7", 700), Assert.True);
            Assert.All(Ways(filler + "reset a.b", 700), Assert.False);
        }
    }

    [Fact]
    public void The_name_of_a_statement_is_no_text_and_a_call_by_number_counts()
    {
        var scan = default(HiddenSettingScan);
        scan.Begin(MessageType.Parse);
        scan.Feed("set a.b"u8);
        scan.Feed(" = 1\0select 1\0\0\0"u8);
        Assert.False(scan.HasSeen);

        scan.Begin(MessageType.FunctionCall);
        Assert.True(scan.HasSeen);
        scan.Clear();
        Assert.False(scan.HasSeen);
    }

    // Whole, cut at every place, and byte by byte.
    private static IEnumerable<bool> Ways(string sql, int every = 1)
    {
        var body = Encoding.UTF8.GetBytes(sql + "\0");
        for (var cut = 0; cut < body.Length; cut += every)
        {
            yield return Sees(body[..cut], body[cut..]);
        }
        yield return Sees([.. body.Select(one => (byte[])[one])]);
    }

    private static bool Sees(params byte[][] parts)
    {
        var scan = default(HiddenSettingScan);
        scan.Begin(MessageType.Query);
        foreach (var part in parts)
        {
            scan.Feed(part);
        }
        return scan.HasSeen;
    }
}
