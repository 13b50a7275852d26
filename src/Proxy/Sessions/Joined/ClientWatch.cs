using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Notices that a client goes away while nothing else is read from it. On the client's loop.</summary>
internal static class ClientWatch
{
    /// <summary>Does something that may take its time, and gives it up when the client goes away meanwhile.</summary>
    /// <param name="client">The client.</param>
    /// <param name="work">What is done; its token is cancelled when the client goes away.</param>
    /// <param name="undo">Undoes what came too late.</param>
    /// <exception cref="IOException">The client went away.</exception>
    public static async ValueTask<T> WhileStayingAsync<T>(
        ITransportConnection client, Func<CancellationToken, ValueTask<T>> work, Action<T> undo)
    {
        using var gone = new CancellationTokenSource();
        var watching = UntilGoneAsync(client, gone);
        T? result = default;
        var isDone = false;
        try
        {
            result = await work(gone.Token);
            isDone = true;
        }
        catch (OperationCanceledException)
        {
            // the client is gone: told below
        }
        await new LoopSwitch(client);
        if (!watching.IsCompleted)
        {
            client.Input.CancelPendingRead();
        }
        await watching;
        await new LoopSwitch(client);
        if (!gone.IsCancellationRequested)
        {
            return result!;
        }
        if (isDone)
        {
            undo(result!);
        }
        throw new IOException("The client went away while it waited.");
    }

    /// <summary>
    /// Cancels when the client ends or breaks; returns then, and when the pending read is cancelled or bytes come.
    /// </summary>
    public static async Task UntilGoneAsync(ITransportConnection client, CancellationTokenSource gone)
    {
        try
        {
            var result = await client.Input.ReadAsync();
            // One that has sent its statements and then shut its sending side down still waits for the answers.
            var isGone = result is { IsCompleted: true, IsCanceled: false, Buffer.IsEmpty: true };
            client.Input.AdvanceTo(result.Buffer.Start, result.Buffer.Start);
            if (isGone)
            {
                await gone.CancelAsync();
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            await gone.CancelAsync();
        }
    }
}
