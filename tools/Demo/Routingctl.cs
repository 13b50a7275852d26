using System.Diagnostics;

namespace Routing.Demo;

/// <summary>
/// Runs <c>routingctl</c> as an operator would, and shows the command with the beginning of its output.
/// </summary>
internal sealed class Routingctl(DemoOptions options, DemoCluster cluster, Action<string> say)
{
    private const int LinesShown = 10, ColumnsShown = 160;
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    /// <summary>Runs a command that has to succeed.</summary>
    /// <returns>Its output.</returns>
    public async Task<string> DoneAsync(params string[] words) => await RunAsync(0, [], words);

    /// <summary>Runs a command.</summary>
    /// <param name="code">The exit code that it has to end with.</param>
    /// <param name="answers">To its questions.</param>
    /// <param name="words">What stands behind <c>routingctl</c>.</param>
    /// <returns>Its output.</returns>
    public async Task<string> RunAsync(int code, string[] answers, params string[] words)
    {
        var (ended, output) = await EndAsync(answers, words);
        return ended == code ? output : throw Wrong(words, $"ended with {ended}, not {code}: {output}");
    }

    /// <summary>Runs a command, whatever it ends with.</summary>
    public async Task<(int Code, string Output)> EndAsync(string[] answers, params string[] words)
    {
        say("");
        say($"$ routingctl {string.Join(' ', words.Select(word => word.Contains(' ') ? $"'{word}'" : word))}");
        var start = new ProcessStartInfo(Path.Combine(options.Programs, "routingctl"), words)
        {
            UseShellExecute = false,
            WorkingDirectory = options.Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var name in start.Environment.Keys.Where(key => key.StartsWith("PATRONI", StringComparison.Ordinal))
            .ToList())
        {
            start.Environment.Remove(name);   // the file alone decides
        }
        start.Environment["PATRONICTL_CONFIG_FILE"] = cluster.Nodes[0].ConfigurationFile;
        using var process = Process.Start(start) ?? throw new InvalidOperationException("routingctl was not started.");
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.StandardInput.WriteAsync(string.Concat(answers.Select(answer => $"{answer}\n")));
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(s_patience);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw Wrong(words, $"has not ended within {s_patience.TotalSeconds:0} s");
        }
        var text = await output;
        // The answers to questions are not echoed, and with them not the ends of their lines.
        text += (text.Length == 0 || text.EndsWith('\n') ? "" : "\n") + await errors;
        Show(text);
        return (process.ExitCode, text);
    }

    private void Show(string text)
    {
        var lines = text.TrimEnd().Split('\n');
        foreach (var line in lines.Take(LinesShown))
        {
            say($"  {(line.Length > ColumnsShown ? line[..ColumnsShown] + "…" : line)}");
        }
        if (lines.Length > LinesShown)
        {
            say($"  … {lines.Length - LinesShown} more lines");
        }
    }

    private static InvalidOperationException Wrong(string[] words, string what) =>
        new($"routingctl {string.Join(' ', words)} {what}");
}
