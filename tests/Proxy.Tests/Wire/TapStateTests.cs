using System.Reflection;
using System.Text;
using Routing.Proxy.Wire;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Wire;

/// <summary>What a tap knows goes to another process whole.</summary>
public sealed class TapStateTests
{
    // A field that is new here has to go through Save and Restore, or to mean nothing between two messages; and what
    // is written for it is a new format in SessionCodec.
    private static readonly string[] s_fields =
    [
        "SessionTap._assumesClean", "SessionTap._behindCopy", "SessionTap._client", "SessionTap._discard",
        "SessionTap._first",
        "SessionTap._hasAskedEarly", "SessionTap._hasExecuted", "SessionTap._hidden", "SessionTap._inCopy",
        "SessionTap._isArmed", "SessionTap._isAsked", "SessionTap._isClean", "SessionTap._isCopyEnded",
        "SessionTap._isCopySimple", "SessionTap._isFollowed", "SessionTap._isSimple", "SessionTap._isTerminated",
        "SessionTap._isText", "SessionTap._isUnsynced", "SessionTap._letsPass", "SessionTap._outstanding",
        "SessionTap._server", "SessionTap._statements", "SessionTap._status", "SessionTap._tag",
        "StatementScan._comment", "StatementScan._committing", "StatementScan._depth", "StatementScan._everyExecute",
        "StatementScan._hash", "StatementScan._isNamed", "StatementScan._isParse", "StatementScan._isPrepare",
        "StatementScan._letters", "StatementScan._manyCommit", "StatementScan._mode", "StatementScan._namedPortal",
        "StatementScan._unnamedCommits", "StatementScan._word", "HiddenSettingScan._isInWord",
        "HiddenSettingScan._matched", "HiddenSettingScan._place", "MessageCursor._header", "MessageCursor._isLost",
        "MessageCursor._left", "MessageCursor._type",
    ];

    [Fact]
    public void A_new_field_was_thought_of() => Assert.Equal(
        s_fields.Order(StringComparer.Ordinal),
        new[] { typeof(SessionTap), typeof(StatementScan), typeof(HiddenSettingScan), typeof(MessageCursor) }
            .SelectMany(type => type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic)
                .Where(field => !field.Name.StartsWith('<')).Select(field => $"{type.Name}.{field.Name}"))
            .Order(StringComparer.Ordinal));

    [Fact]
    public void Each_flag_goes_there_and_back()
    {
        foreach (var flag in Enum.GetValues<TapFlags>())
        {
            var state = new TapState
            {
                ClientMessage = (byte)'Q', ServerMessage = (byte)'Z', Status = (byte)'T', Discard = 2, Flags = flag,
                Outstanding = 3, BehindCopy = 2,
                Statements = new StatementMemory(true, true, true, true, true, 4711),
            };

            Assert.Equal(state, SessionTap.Restore(state).Save());
        }
    }

    [Theory]
    [InlineData("a COMMIT has no answer")]
    [InlineData("a named statement is a COMMIT")]
    [InlineData("a copy has ended")]
    [InlineData("everything was discarded")]
    [InlineData("a custom setting was set")]
    public void It_goes_on_as_if_it_had_never_stopped(string what)
    {
        var here = LoggedIn();
        byte[] first = what switch
        {
            "a COMMIT has no answer" => Query("COMMIT"),
            "a named statement is a COMMIT" => BackendMessage.Of('P', "end\0COMMIT\0\0\0"u8),
            "a copy has ended" => Query("COPY one FROM STDIN"),
            "everything was discarded" => Query("DISCARD ALL"),
            _ => Query("SET app.tenant = 7"),
        };
        here.FromClient(first);
        if (what == "a copy has ended")
        {
            here.FromServer(BackendMessage.Of('G', [0, 0, 0]));
            here.FromClient(BackendMessage.Of('c', []));
        }

        var there = SessionTap.Restore(here.Save());
        foreach (var tap in (SessionTap[])[here, there])
        {
            if (what == "a named statement is a COMMIT")
            {
                tap.FromClient(BackendMessage.Of('B', "\0end\0\0\0\0\0\0\0"u8));
            }
        }
        Assert.True(what.Contains("COMMIT", StringComparison.Ordinal) ? there.IsOutcomeOpen : there.Outstanding > 0);
        AssertSame(here, there);
        foreach (var tap in (SessionTap[])[here, there])
        {
            tap.FromServer(
            [
                .. BackendMessage.Of('C', what == "everything was discarded" ? "DISCARD ALL\0"u8 : "SELECT 1\0"u8),
                .. BackendMessage.Ready(),
            ]);
        }
        AssertSame(here, there);
        Assert.Equal(what == "everything was discarded", there.MayMove);
        Assert.Equal(what == "a custom setting was set", there.HasHiddenSettings);
    }

    private static void AssertSame(SessionTap one, SessionTap other)
    {
        Assert.Equal(one.Save(), other.Save());
        Assert.Equal(
            (one.AtRest, one.MayStop, one.IsOutcomeOpen, one.MayMove, one.MayBeAsked, one.Outstanding),
            (other.AtRest, other.MayStop, other.IsOutcomeOpen, other.MayMove, other.MayBeAsked, other.Outstanding));
    }

    private static SessionTap LoggedIn()
    {
        var tap = new SessionTap();
        tap.FromServer([.. BackendMessage.LoggedIn, .. BackendMessage.Ready()]);
        tap.Follow(assumesClean: false, isAsked: true, repeats: true);
        tap.Arm();
        return tap;
    }

    private static byte[] Query(string sql) => BackendMessage.Of('Q', Encoding.UTF8.GetBytes(sql + "\0"));
}
