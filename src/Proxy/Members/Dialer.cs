using System.Net.Sockets;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Members;

/// <summary>Connects to a member by all addresses of its name.</summary>
/// <remarks>
/// The addresses are tried in order; the next one begins when the one before has failed or has not answered for
/// <see cref="HeadStart"/>, and the first connection that is made counts (RFC 8305).
/// </remarks>
internal static class Dialer
{
    /// <summary>What an address gets before the next one is tried beside it; RFC 8305 recommends this value.</summary>
    public static readonly TimeSpan HeadStart = TimeSpan.FromMilliseconds(250);

    /// <summary>Connects.</summary>
    /// <param name="transport">Makes the connections.</param>
    /// <param name="target">The member.</param>
    /// <param name="beside">The connection whose loop the new one shares; null for any loop.</param>
    /// <param name="tuning">Socket options.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="SocketException">No address took the connection: the error of the first.</exception>
    /// <exception cref="OperationCanceledException">It was given up.</exception>
    public static ValueTask<ITransportConnection> DialAsync(
        ITransport transport, RouteTarget target, ITransportConnection? beside, SocketTuning tuning, TimeProvider time,
        CancellationToken cancellationToken) => target.Addresses.Length == 1
        ? transport.ConnectAsync(target.Addresses[0], beside, tuning, cancellationToken)
        : RaceAsync(transport, target, beside, tuning, time, cancellationToken);

    private static async ValueTask<ITransportConnection> RaceAsync(
        ITransport transport, RouteTarget target, ITransportConnection? beside, SocketTuning tuning, TimeProvider time,
        CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = new List<Task<ITransportConnection>>();
        SocketException? first = null;
        var next = 0;
        try
        {
            while (true)
            {
                if (next < target.Addresses.Length)
                {
                    running.Add(transport.ConnectAsync(target.Addresses[next++], beside, tuning, over.Token).AsTask());
                }
                if (running.Count == 0)
                {
                    throw first!;
                }
                var ended = await AnyAsync(running, next < target.Addresses.Length, time, cancellationToken);
                if (ended is null)
                {
                    continue;   // the head start is over
                }
                running.Remove(ended);
                try
                {
                    var connection = await ended;
                    await new LoopSwitch(connection);   // the race ran on whatever thread ended it
                    return connection;
                }
                catch (SocketException refusal)
                {
                    first ??= refusal;
                }
            }
        }
        finally
        {
            await over.CancelAsync();
            running.ForEach(static late => _ = AbandonAsync(late));
        }
    }

    // Closes a connection that comes too late. Never throws.
    private static async Task AbandonAsync(Task<ITransportConnection> late)
    {
        await ((Task)late).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (late.IsCompletedSuccessfully)
        {
            (await late).Abort();
        }
    }

    // The attempt that has ended; null: the head start of the newest is over.
    private static async Task<Task<ITransportConnection>?> AnyAsync(
        List<Task<ITransportConnection>> running, bool mayHurry, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!mayHurry)
        {
            return await Task.WhenAny(running).WaitAsync(cancellationToken);
        }
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var pause = Task.Delay(HeadStart, time, enough.Token);
        var ended = await Task.WhenAny([.. running, pause]);
        await enough.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
        return ended as Task<ITransportConnection>;
    }
}
