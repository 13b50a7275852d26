using System.Text;
using Routing.Proxy.Wire;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Wire;

/// <summary>What is kept of a client's first statement, and when it may be repeated.</summary>
public sealed class FirstStatementTests
{
    private readonly FirstStatement _first = new();

    private static byte[] Refusal => Error("25006");

    [Fact]
    public void What_was_sent_whole_is_not_unsent_and_the_kernel_s_part_counts()
    {
        var query = Query("insert");
        _first.Take(query, atRest: true, isClean: true);

        Assert.False(_first.IsUnsent(0));
        Assert.True(_first.IsUnsent(1));
        Assert.True(_first.IsUnsent(query.Length));
        Assert.True(_first.WasClean);
    }

    [Fact]
    public void A_Parse_and_a_Bind_run_nothing_and_an_Execute_does()
    {
        byte[] parse = [.. BackendMessage.Of('P', new byte[4]), .. BackendMessage.Of('B', new byte[8])];
        _first.Take(parse, atRest: true, isClean: false);
        Assert.True(_first.IsUnsent(0));

        _first.Take(BackendMessage.Of('E', new byte[5]), atRest: false, isClean: false);

        Assert.False(_first.IsUnsent(0));
        Assert.False(_first.WasClean);
    }

    [Fact]
    public void A_refusal_is_withheld_with_what_comes_at_once_ahead_of_it()
    {
        foreach (var ahead in (byte[][])[[], BackendMessage.Of('1'), [.. BackendMessage.Of('1'), .. Tag("BEGIN")]])
        {
            var first = new FirstStatement();
            first.Take(Query("insert"), atRest: true, isClean: true);

            Assert.True(first.Withholds([.. ahead, .. Refusal]));
        }
    }

    [Theory]
    [InlineData("23505")]
    [InlineData("57014")]
    public void Another_error_passes_and_ends_it(string code)
    {
        _first.Take(Query("insert"), atRest: true, isClean: true);

        Assert.False(_first.Withholds(Error(code)));
        Assert.False(_first.IsOpen);
    }

    [Fact]
    public void Behind_a_part_of_the_answer_nothing_is_withheld()
    {
        _first.Take(Query("insert"), atRest: true, isClean: true);

        Assert.False(_first.Withholds(BackendMessage.Of('T', 0, 0)));
        Assert.False(_first.Withholds(Refusal));
        Assert.False(_first.IsOpen);
    }

    [Fact]
    public void The_answers_to_a_BEGIN_are_told_apart_from_those_to_what_is_behind_it()
    {
        var (begin, insert) = (Query("BEGIN"), Query("insert"));
        _first.Take([.. begin, .. insert], atRest: true, isClean: true);
        Assert.False(_first.Withholds([.. Tag("BEGIN"), .. BackendMessage.Ready('T')]));
        Assert.False(_first.Withholds(BackendMessage.Ready('T')));
        _first.Ready((byte)'T', atRest: false);

        Assert.True(_first.Withholds(Refusal));
        Assert.Equal(begin, _first.Begin.ToArray());
        Assert.Equal(insert, _first.Statement.ToArray());
        Assert.False(_first.IsUnsent(0));
        Assert.True(_first.IsUnsent(1));
    }

    [Fact]
    public void The_second_statement_of_a_transaction_is_not_kept()
    {
        _first.Take(Query("BEGIN"), atRest: true, isClean: true);
        _first.Withholds(Tag("BEGIN"));
        _first.Ready((byte)'T', atRest: false);
        _first.Take(Query("select"), atRest: false, isClean: false);
        _first.Withholds(Tag("SELECT 1"));
        _first.Ready((byte)'T', atRest: false);
        _first.Take(Query("insert"), atRest: false, isClean: false);
        Assert.False(_first.IsOpen);

        _first.Ready((byte)'I', atRest: true);
        _first.Take(Query("insert"), atRest: true, isClean: false);

        Assert.True(_first.IsOpen);
    }

    [Fact]
    public void A_statement_that_is_too_long_is_not_kept()
    {
        _first.Take(Query(new string('x', FirstStatement.Longest)), atRest: true, isClean: true);

        Assert.False(_first.IsOpen);
    }

    [Fact]
    public void It_knows_the_statements_that_it_prepares()
    {
        _first.Take(
            [.. BackendMessage.Of('P', "s1\0select 1\0\0\0"u8), .. BackendMessage.Of('B', "\0s2\0\0\0\0\0\0\0"u8)],
            atRest: true, isClean: true);

        Assert.True(_first.Prepares("s1"u8));
        Assert.False(_first.Prepares("s"u8));
        Assert.False(_first.Prepares("s2"u8));
    }

    private static byte[] Query(string text) => BackendMessage.Of('Q', Encoding.UTF8.GetBytes(text + "\0"));

    private static byte[] Tag(string text) => BackendMessage.Of('C', Encoding.UTF8.GetBytes(text + "\0"));

    private static byte[] Error(string code) =>
        BackendMessage.Of('E', Encoding.UTF8.GetBytes($"SERROR\0VERROR\0C{code}\0Mpretended\0\0"));
}
