using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Routing.Cli.Terminal;

/// <summary>Programs of the operator's choice: the editor, and the pager.</summary>
internal sealed class ExternalProgram(CtlEnvironment environment)
{
    /// <summary>Lets the operator edit a text.</summary>
    /// <param name="text">What to begin with.</param>
    /// <param name="fileName">The name of the file that the editor shows; its end tells editors what it is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The text as it was saved.</returns>
    /// <exception cref="CtlException">There is no editor, or it failed.</exception>
    public async Task<string> EditAsync(string text, string fileName, CancellationToken cancellationToken)
    {
        var editor = environment.Variable("EDITOR") ?? Find("editor", "vi")
            ?? throw new CtlException("EDITOR environment variable is not set. editor or vi are not available",
                "Set EDITOR, or use --set or --apply.");
        var directory = Directory.CreateTempSubdirectory("routingctl-");
        try
        {
            var file = Path.Combine(directory.FullName, fileName);
            await File.WriteAllTextAsync(file, text, cancellationToken);
            // The variable may hold a program with arguments, as the shell would read it.
            using var process = Start(new ProcessStartInfo("/bin/sh", ["-c", $"{editor} \"$1\"", "sh", file]), editor);
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0
                ? await File.ReadAllTextAsync(file, cancellationToken)
                : throw new CtlException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The editor {editor} ended with the exit code {process.ExitCode}: nothing was changed"));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <summary>Shows a text in a pager.</summary>
    /// <returns>False when there is none.</returns>
    public async Task<bool> TryPageAsync(string text, CancellationToken cancellationToken)
    {
        if ((environment.Variable("PAGER") ?? Find("less", "more")) is not { } pager)
        {
            return false;
        }
        var start = new ProcessStartInfo("/bin/sh", ["-c", pager]) { RedirectStandardInput = true };
        if (environment.Variable("LESS") is null)
        {
            start.Environment["LESS"] = "FRX";   // ends at once when the text fits; colours; leaves it on the screen
        }
        using var process = Start(start, pager);
        try
        {
            await process.StandardInput.WriteAsync(text.AsMemory(), cancellationToken);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The operator has left the pager before it had read everything.
        }
        await process.WaitForExitAsync(cancellationToken);
        return true;
    }

    /// <summary>Runs a program that speaks with the operator itself.</summary>
    /// <returns>Its exit code.</returns>
    /// <exception cref="CtlException">It could not be started.</exception>
    public static async Task<int> RunAsync(IReadOnlyList<string> words, CancellationToken cancellationToken)
    {
        using var process = Start(new ProcessStartInfo(words[0], words.Skip(1)), words[0]);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode;
    }

    private static Process Start(ProcessStartInfo start, string program)
    {
        try
        {
            return Process.Start(start) ?? throw new CtlException($"{program} could not be started");
        }
        catch (Win32Exception e)
        {
            throw new CtlException($"{program} could not be started: {e.Message}", hint: null, e);
        }
    }

    private string? Find(params ReadOnlySpan<string> names)
    {
        var folders = (environment.Variable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries);
        foreach (var name in names)
        {
            foreach (var folder in folders)
            {
                if (File.Exists(Path.Combine(folder, name)))
                {
                    return name;
                }
            }
        }
        return null;
    }
}
