using System.Buffers;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Login;

/// <summary>
/// Relays a login in both directions, from the server's first answer until the server is ready or the login is over.
/// </summary>
internal sealed class LoginRelay
{
    private readonly NewClient _client;
    private readonly ITransportConnection _server;
    private readonly LoginFilter _filter;
    private readonly LoginObserver? _observer;
    private Task<bool>? _answers;
    private bool _isEnding;         // the client's part of the login is over: its pending read is cancelled
    private bool _hasClientEnded;   // its stream has ended, and the server was told; the client may still read
    private bool _isClientBroken;

    /// <param name="client">The client.</param>
    /// <param name="server">The server's connection, with its first answer in its pipe.</param>
    /// <param name="mustBePrimary">Whether a server in recovery is the wrong one.</param>
    /// <param name="keepsParameters">Whether the parameters that the server tells are kept.</param>
    /// <param name="observer">Listens to both sides; null: nobody does.</param>
    public LoginRelay(
        NewClient client, ITransportConnection server, bool mustBePrimary, bool keepsParameters,
        LoginObserver? observer)
    {
        _observer = observer;
        (_client, _server) = (client, server);
        _filter = new LoginFilter(
            Tap, mustBePrimary,
            dropChannelBinding: client.Listener.MemberTls is not null
                && client.Listener.Config.MemberTls.HideChannelBinding
                && !client.IsEncrypted,
            keepsParameters, observer is null ? null : observer.FromServer);
    }

    /// <summary>The server has asked the client for something: a password, a token.</summary>
    public bool HasAskedClient => _filter.HasAskedClient;

    /// <summary>The ParameterStatus messages that have passed, where they are kept.</summary>
    public ReadOnlySpan<byte> Parameters => _filter.Parameters;

    /// <summary>Follows the messages.</summary>
    public SessionTap Tap { get; } = new();

    /// <summary>The key by which the session may be cancelled, once it has passed.</summary>
    public BackendKey? Key => _filter.Key;

    /// <summary>The code of the server's refusal.</summary>
    public string? Refusal => _filter.Refusal;

    /// <summary>How far the server has come.</summary>
    public LoginState State { get; private set; }

    /// <summary>The server's connection ended or broke.</summary>
    public bool IsServerGone { get; private set; }

    /// <summary>The time limit has passed.</summary>
    public bool IsLate { get; private set; }

    /// <summary>The client went away. Known after <see cref="EndAsync"/>.</summary>
    public bool IsClientGone => _isClientBroken || (_hasClientEnded && IsServerGone);

    private ITransportConnection Client => _client.Connection;

    /// <summary>
    /// Relays until the server has nothing more to say. Its ReadyForQuery is written for the client and not flushed.
    /// </summary>
    /// <param name="deadline">The timestamp at which the login has taken too long.</param>
    public async ValueTask RelayAsync(long deadline)
    {
        _client.Limit.Watch(_server, deadline);
        _answers = RelayAnswersAsync();
        try
        {
            while (State == LoginState.Running && !IsServerGone)
            {
                var result = await _server.Input.ReadAsync();
                var buffer = result.Buffer;
                State = _filter.Process(ref buffer, Client.Output);
                IsServerGone = State == LoginState.Running && result.IsCompleted;
                _server.Input.AdvanceTo(buffer.Start, State == LoginState.Running ? result.Buffer.End : buffer.Start);
                if (State != LoginState.Ready)
                {
                    await Client.Output.FlushAsync();
                }
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            IsServerGone = true;   // or the client: its answers tell
        }
    }

    /// <summary>Ends the client's part, so that nothing more is read from it here.</summary>
    public async ValueTask EndAsync()
    {
        _isEnding = true;
        Client.Input.CancelPendingRead();
        _isClientBroken = await _answers!;
        await new LoopSwitch(Client);
        IsLate = _client.Limit.HasPassed;
        _client.Limit.Lift();
    }

    // The client's part of the login. True: the client is gone.
    private async Task<bool> RelayAnswersAsync()
    {
        var isWriting = false;
        try
        {
            while (true)
            {
                isWriting = false;
                var result = await Client.Input.ReadAsync();
                if (result.IsCanceled && _isEnding)
                {
                    Client.Input.AdvanceTo(result.Buffer.Start);
                    return false;
                }
                foreach (var segment in result.Buffer)
                {
                    Tap.FromClient(segment.Span);
                    _observer?.FromClient(segment.Span);
                    _server.Output.Write(segment.Span);
                }
                Client.Input.AdvanceTo(result.Buffer.End);
                isWriting = true;
                await _server.Output.FlushAsync();
                if (result.IsCompleted)
                {
                    // Statements may have come with the start-up message: the server answers what it has, and then
                    // ends.
                    _hasClientEnded = true;
                    await _server.EndSendingAsync();
                    return false;
                }
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            _server.Abort();
            return !isWriting;
        }
    }
}
