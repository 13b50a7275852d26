using System.Runtime.InteropServices;

namespace Routing.Agent.Native;

/// <summary>One run of one command.</summary>
internal sealed unsafe class CommandRun : IDisposable
{
    private const int Output = 0, Error = 1, Exit = 2, End = 3;

    private readonly Command _command;
    private readonly LineSplitter[] _lines;
    private readonly int[] _descriptors = [-1, -1, -1, -1];
    private readonly PidFd _process;
    private readonly TaskCompletionSource<ProcessExit> _completion =
        new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _endRequested;

    public CommandRun(Command command, Action<CommandLine>? onLine)
    {
        _command = command;
        _lines =
        [
            new LineSplitter(text => onLine?.Invoke(new CommandLine(text, IsError: false))),
            new LineSplitter(text => onLine?.Invoke(new CommandLine(text, IsError: true))),
        ];
        var pipes = stackalloc int[4];
        pipes[0] = pipes[1] = pipes[2] = pipes[3] = -1;
        try
        {
            if (Libc.pipe2(pipes, Libc.O_CLOEXEC) != 0 || Libc.pipe2(pipes + 2, Libc.O_CLOEXEC) != 0)
            {
                throw Libc.Failure($"opening pipes for {command.Program}", Marshal.GetLastPInvokeError());
            }

            _descriptors[End] = Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
            var request = new SpawnRequest(command.Program, command.Arguments) { Environment = command.Environment };
            _process = Spawner.Start(request, pipes[1], pipes[3]);
            _descriptors[Output] = pipes[0];
            _descriptors[Error] = pipes[2];
            pipes[0] = pipes[2] = -1;
        }
        finally
        {
            // The child has its own copies of the write ends; ours must go, or the end of its output is never seen.
            for (var i = 0; i < 4; i++)
            {
                Close(ref pipes[i]);
            }

            if (_process is null)
            {
                Close(ref _descriptors[End]);
            }
        }

        _descriptors[Exit] = Libc.pidfd_open(_process.Pid);
        new Thread(Run, maxStackSize: 512 * 1024) { IsBackground = true, Name = "command" }.Start();
    }

    /// <summary>Ends when the command has ended and all its output was handed out.</summary>
    public Task<ProcessExit> Completion => _completion.Task;

    public bool EndRequested => _endRequested;

    /// <summary>Asks for the end of the command: SIGTERM to its process group, SIGKILL after the grace.</summary>
    public void RequestEnd()
    {
        _endRequested = true;
        ulong one = 1;
        _ = Libc.write(_descriptors[End], (byte*)&one, sizeof(ulong));
    }

    public void Dispose()
    {
        for (var i = 0; i < _descriptors.Length; i++)
        {
            Close(ref _descriptors[i]);
        }

        _process.Dispose();
    }

    private void Run()
    {
        try
        {
            ReadUntilExit();
            _lines[Output].Flush();
            _lines[Error].Flush();
            _completion.SetResult(Collect());
        }
        catch (Exception exception)
        {
            // A callback threw: the command must not go on unwatched.
            _ = Libc.kill(-_process.Pid, Signals.Kill);
            _ = Collect();
            _completion.SetException(exception);
        }
    }

    /// <summary>
    /// Collects the child: only now, because until then its number, and so its group's, can't be another's.
    /// </summary>
    private ProcessExit Collect() => _process.Exited.GetAwaiter().GetResult();

    private void ReadUntilExit()
    {
        var polls = stackalloc Libc.PollFd[4];
        for (var i = 0; i < 4; i++)
        {
            polls[i] = new Libc.PollFd { Fd = _descriptors[i], Events = Libc.POLLIN };
        }

        var buffer = stackalloc byte[16 * 1024];
        var killAt = long.MaxValue;
        while (true)
        {
            var left = (killAt - Libc.Nanoseconds(Libc.CLOCK_MONOTONIC)) / 1_000_000;
            var ready = Libc.poll(polls, 4, killAt == long.MaxValue ? -1 : (int)Math.Max(left, 0));
            if (ready == 0)
            {
                _ = Libc.kill(-_process.Pid, Signals.Kill);
                killAt = long.MaxValue;
            }

            if (ready <= 0)
            {
                continue;
            }

            if (polls[End].Revents != 0)
            {
                // The group's number is the process's, and stays taken as long as we have not collected the process.
                _ = Libc.kill(-_process.Pid, Signals.Terminate);
                _ = Libc.kill(-_process.Pid, Signals.Continue);
                polls[End].Fd = -1;
                killAt = Libc.Nanoseconds(Libc.CLOCK_MONOTONIC) + (long)(_command.Grace.TotalMilliseconds * 1_000_000);
            }

            var ended = polls[Exit].Revents != 0;
            for (var i = Output; i <= Error; i++)
            {
                if (polls[i].Revents != 0 && !ReadOnce(i, polls[i].Fd, buffer))
                {
                    polls[i].Fd = -1;
                }
            }

            // The end of the process counts, not the end of its output: a daemon that it left behind may hold the pipes
            // open for ever.
            if (ended)
            {
                DrainAfterExit(polls, buffer);
                return;
            }
        }
    }

    private void DrainAfterExit(Libc.PollFd* polls, byte* buffer)
    {
        if (_endRequested)
        {
            _ = Libc.kill(-_process.Pid, Signals.Kill);   // processes of its group that ignored SIGTERM
        }

        // A pipe holds about 64 KiB; any output after that comes from a daemon that the command left behind.
        const int maximumReads = 64;
        for (var i = Output; i <= Error; i++)
        {
            var poll = new Libc.PollFd { Fd = polls[i].Fd, Events = Libc.POLLIN };
            for (var reads = 0; poll.Fd >= 0 && reads < maximumReads && Libc.poll(&poll, 1, 0) > 0; reads++)
            {
                if (!ReadOnce(i, poll.Fd, buffer))
                {
                    poll.Fd = -1;
                }
            }
        }
    }

    /// <summary>One read of a pipe that is ready; false at its end.</summary>
    private bool ReadOnce(int stream, int descriptor, byte* buffer)
    {
        var length = Libc.read(descriptor, buffer, 16 * 1024);
        if (length > 0)
        {
            _lines[stream].Add(new ReadOnlySpan<byte>(buffer, (int)length));
            return true;
        }

        return length < 0 && Marshal.GetLastPInvokeError() == Libc.EINTR;
    }

    private static void Close(ref int descriptor)
    {
        if (descriptor >= 0)
        {
            _ = Libc.close(descriptor);
            descriptor = -1;
        }
    }
}
