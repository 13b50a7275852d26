using System.Net;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>What it takes to log a session in again without its client. Kept only where sessions may move.</summary>
/// <param name="Packet">The start-up message as it was sent.</param>
/// <param name="Parameters">The ParameterStatus messages that the client was told at its login; shared.</param>
/// <param name="Source">The client's address, for a PROXY header.</param>
/// <param name="Destination">The address that it connected to, likewise.</param>
internal sealed record RepeatableLogin(byte[] Packet, byte[] Parameters, IPEndPoint? Source, EndPoint? Destination);
