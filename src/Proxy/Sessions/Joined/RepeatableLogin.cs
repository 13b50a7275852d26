using System.Net;
using Routing.Proxy.Sessions.Secrets;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>What it takes to log a session in again without its client. Kept only where sessions may move.</summary>
/// <param name="packet">The start-up message as it was sent.</param>
/// <param name="parameters">The ParameterStatus messages that the client was told at its login; shared.</param>
/// <param name="source">The client's address, for a PROXY header.</param>
/// <param name="destination">The address that it connected to, likewise.</param>
internal sealed class RepeatableLogin(byte[] packet, byte[] parameters, IPEndPoint? source, EndPoint? destination)
    : IDisposable
{
    private HeldSecret? _secret;
    private bool _isOver;

    /// <summary>The start-up message as it was sent.</summary>
    public byte[] Packet => packet;

    /// <summary>The ParameterStatus messages that the client was told at its login; shared.</summary>
    public byte[] Parameters => parameters;

    /// <summary>The client's address, for a PROXY header.</summary>
    public IPEndPoint? Source => source;

    /// <summary>The address that the client connected to, likewise.</summary>
    public EndPoint? Destination => destination;

    /// <summary>What answers a demand for a password; null: nothing (yet).</summary>
    public LoginSecret? Secret => _secret;

    /// <summary>Takes what was found in the client's login; zeroed with this. On the session's loop.</summary>
    /// <returns>False: the session is over, and nothing was taken.</returns>
    public bool TryLearn(HeldSecret secret)
    {
        if (_isOver)
        {
            secret.Dispose();
            return false;
        }
        _secret = secret;
        return true;
    }

    /// <summary>The session is over. On its loop.</summary>
    public void Dispose()
    {
        _isOver = true;
        _secret?.Dispose();
        _secret = null;
    }
}
