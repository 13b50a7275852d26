using System.Collections.Immutable;
using Routing.Ha.Synchronous;
using Xunit;

namespace Routing.Ha.Tests.Synchronous;

public sealed class SyncStandbyNamesTests
{
    [Theory]
    [InlineData("", SyncMethod.None, 0, "")]
    [InlineData("  ", SyncMethod.None, 0, "")]
    [InlineData("b", SyncMethod.First, 1, "b")]
    [InlineData("b, c", SyncMethod.First, 1, "b|c")]
    [InlineData("2 (b,c)", SyncMethod.First, 2, "b|c")]
    [InlineData("FIRST 2 (b, \"pg-c\")", SyncMethod.First, 2, "b|pg-c")]
    [InlineData("any 1 (\"B\",c)", SyncMethod.Any, 1, "B|c")]
    [InlineData("ANY 2(\"say \"\"hi\"\"\",c)", SyncMethod.Any, 2, "c|say \"hi\"")]
    [InlineData("*", SyncMethod.First, 1, "*")]
    [InlineData("any", SyncMethod.First, 1, "any")]
    [InlineData("\"first\"", SyncMethod.First, 1, "first")]
    public void Parameter_is_read_as_PostgreSQL_reads_it(string text, SyncMethod method, int count, string names)
    {
        var parsed = SyncStandbyNames.Parse(text);

        Assert.Equal((method, count, names), (parsed.Method, parsed.Count, string.Join('|', parsed.Names)));
    }

    [Theory]
    [InlineData("ANY (b)")]
    [InlineData("ANY 1 (b")]
    [InlineData("ANY 0 (b)")]
    [InlineData("1 ()")]
    [InlineData("b c")]
    [InlineData("b,")]
    [InlineData("\"b")]
    [InlineData("b;c")]
    public void What_PostgreSQL_would_refuse_is_refused(string text)
    {
        Assert.False(SyncStandbyNames.TryParse(text, out _));
        Assert.Throws<FormatException>(() => SyncStandbyNames.Parse(text));
    }

    [Theory]
    [InlineData("", null, null)]
    [InlineData("b", "b", "ANY 1 (b)")]
    [InlineData("c b", "2 (b,c)", "ANY 1 (b,c)")]
    [InlineData("pg-b any", "2 (\"any\",\"pg-b\")", "ANY 1 (\"any\",\"pg-b\")")]
    [InlineData("1st", "\"1st\"", "ANY 1 (\"1st\")")]
    [InlineData("b$_1", "b$_1", "ANY 1 (b$_1)")]
    public void Text_is_sorted_and_quoted_where_it_must_be(string names, string? priority, string? quorum)
    {
        var set = ImmutableSortedSet.CreateRange(
            StringComparer.OrdinalIgnoreCase, names.Split(' ', StringSplitOptions.RemoveEmptyEntries));

        Assert.Equal(priority, SyncStandbyNames.ForPriority(set));
        Assert.Equal(quorum, SyncStandbyNames.ForQuorum(1, set));
        Assert.True(SyncStandbyNames.Parse(priority).Names.SetEquals(set));
    }

    [Fact]
    public void Only_names_that_every_commit_waits_for_are_certain()
    {
        Assert.Equal(["b", "c"], SyncStandbyNames.Parse("2 (b,c)").Certain);
        Assert.Empty(SyncStandbyNames.Parse("ANY 1 (b,c)").Certain);
        Assert.Empty(SyncStandbyNames.Parse("b,c").Certain);
        Assert.Empty(SyncStandbyNames.Parse("*").Certain);
    }
}
