using Routing.Cluster;
using Routing.Proxy.Members;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions.Login;

/// <summary>
/// Looks for a server that takes the login of one client, and of which the client sees nothing meanwhile. On the
/// client's loop.
/// </summary>
/// <remarks>
/// A machine: it chooses a member, or waits until there is one; it attempts a login there, and after a failure pauses
/// and chooses again. It ends with a server's first answer, with a refusal, or with a member's no to TLS that was to
/// pass through. A login that fails later may go on with the search: <see cref="TryNoteFailure"/>.
/// </remarks>
/// <param name="hub">What all sessions share.</param>
/// <param name="client">The client.</param>
/// <param name="request">What it asks for.</param>
/// <param name="isMove">Whether its session moves, and is not new.</param>
internal sealed class ServerSearch(SessionHub hub, NewClient client, LoginRequest request, bool isMove = false)
{
    private const int LongestPause = 8;

    private readonly List<string> _tried = [];
    private State _state = State.Choosing;
    private long _giveUpAt;
    private int _failures;   // in a row, at members that have all been tried

    private enum State
    {
        /// <summary>A member is chosen.</summary>
        Choosing,

        /// <summary>There is no member to choose: the client waits for one.</summary>
        Holding,

        /// <summary>A member was chosen: one attempt is made there.</summary>
        Attempting,

        /// <summary>The attempt has failed: the next one waits a little.</summary>
        Pausing,

        /// <summary>A member has given its first answer.</summary>
        Found,

        /// <summary>There is no server for the client.</summary>
        Refused,

        /// <summary>The member does no TLS, which was to pass through.</summary>
        Declined,
    }

    /// <summary>The member that was chosen last.</summary>
    public RouteTarget? Target { get; private set; }

    /// <summary>Counts the attempt at its member; the caller's once the server was found.</summary>
    public IDisposable? Ticket { get; set; }

    /// <summary>The server's connection, with its first answer in its pipe; the caller's once it was found.</summary>
    public ITransportConnection? Server { get; set; }

    /// <summary>Why there is no server.</summary>
    public Refusal? Refusal { get; private set; }

    private string Listener => client.Listener.Name;

    /// <summary>Searches, from the beginning or on.</summary>
    /// <exception cref="IOException">The client went away.</exception>
    public async ValueTask<SearchEnd> RunAsync()
    {
        while (true)
        {
            switch (_state)
            {
                case State.Choosing:
                    _state = Adopt(hub.Router.Choose(Listener, _tried), State.Holding);
                    break;
                case State.Holding:
                    _state = await HoldAsync();
                    break;
                case State.Attempting:
                    _state = await AttemptAsync();
                    break;
                case State.Pausing:
                    _state = await PauseAsync();
                    break;
                case State.Found:
                    return SearchEnd.Found;
                case State.Declined:
                    return SearchEnd.Declined;
                default:
                    return SearchEnd.Refused;
            }
        }
    }

    /// <summary>The server that was found is no good: counts it, and lets go of it.</summary>
    /// <returns>Whether the search may go on; else <see cref="Refusal"/> tells why not.</returns>
    public bool TryNoteFailure(LoginFailure failure)
    {
        Note(failure);
        LetGo();
        if (hub.Time.GetTimestamp() < _giveUpAt && !(failure.IsLasting && _failures > 1))
        {
            _state = State.Pausing;
            return true;
        }
        Refusal = Refusal.MemberFailed(failure, Target!.Member, client.Settings.RetryTime, _tried);
        _state = State.Refused;
        return false;
    }

    /// <summary>Lets go of the server that was found, which is no failure, and looks for one anew.</summary>
    public void BeginAgain()
    {
        LetGo();
        _state = State.Choosing;
    }

    /// <summary>Closes what has no other owner.</summary>
    public void LetGo()
    {
        Server?.Abort();
        Ticket?.Dispose();
        (Server, Ticket) = (null, null);
    }

    private State Adopt(in RouteChoice choice, State otherwise)
    {
        (Target, Ticket) = (choice.Target, choice.Ticket);
        return choice.Target is null ? otherwise : State.Attempting;
    }

    private async ValueTask<State> HoldAsync()
    {
        var begun = hub.Time.GetTimestamp();
        var routed = false;
        try
        {
            var choice = await ClientWatch.WhileStayingAsync(
                client.Connection, gone => hub.Router.HoldAsync(Listener, _tried, isMove, gone),
                static late => late.Ticket?.Dispose());
            routed = choice.Target is not null;
            Refusal = routed ? null : Refusal.NoTarget(choice);
            return Adopt(choice, State.Refused);
        }
        finally
        {
            hub.Events.Held(Listener, hub.Time.GetElapsedTime(begun), routed);
        }
    }

    private async ValueTask<State> AttemptAsync()
    {
        // The first attempt is not watched: it mostly takes no longer than the watching would.
        var isWatched = _failures > 0;
        var attempt = new LoginAttempt(hub, client, request, Target!, isWatched);
        var (server, failure) = !isWatched ? await attempt.MakeAsync(CancellationToken.None)
            : await ClientWatch.WhileStayingAsync(
                client.Connection, attempt.MakeAsync, static late => late.Server?.Abort());
        if (failure is null)
        {
            Server = server;
            hub.Router.NoteSuccess(Target!);
            return State.Found;
        }
        if (attempt.IsDeclined)
        {
            return State.Declined;
        }
        _ = TryNoteFailure(failure);
        return _state;
    }

    // Another member is tried at once, the same one again after a pause that grows.
    private async ValueTask<State> PauseAsync()
    {
        if (_failures > 1)
        {
            var settings = client.Settings;
            var pause = new Backoff(settings.RetryPause, settings.RetryPause * LongestPause).After(_failures - 1);
            await ClientWatch.WhileStayingAsync(
                client.Connection,
                async gone =>
                {
                    await Task.Delay(pause, hub.Time, gone);
                    return true;
                },
                static _ => { });
        }
        return State.Choosing;
    }

    private void Note(LoginFailure failure)
    {
        var target = Target!;
        if (_failures++ == 0)
        {
            _giveUpAt = hub.After(client.Settings.RetryTime);
        }
        if (!_tried.Contains(target.Member))
        {
            _tried.Add(target.Member);
            _failures = 1;
        }
        hub.Events.AttemptFailed(Listener, target.Member, failure);
        hub.Router.NoteFailure(target, failure);
    }
}

/// <summary>How a search for a server ended.</summary>
internal enum SearchEnd
{
    /// <summary>A member has given its first answer.</summary>
    Found,

    /// <summary>There is none.</summary>
    Refused,

    /// <summary>A member declined TLS that was to pass through: nothing has become of the client.</summary>
    Declined,
}
