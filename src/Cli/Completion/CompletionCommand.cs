using System.CommandLine;
using Routing.Cli.Terminal;

namespace Routing.Cli.Completion;

/// <summary>
/// <c>completion</c>: the script with which a shell completes words. The shell asks this program for them.
/// </summary>
internal static class CompletionCommand
{
    private static readonly string[] s_shells = ["bash", "zsh", "fish"];

    private const string Bash = """
        # routingctl completion for bash: eval "$(routingctl completion bash)"
        _routingctl() {
            local IFS=$'\n' word="${COMP_WORDS[COMP_CWORD]}" words
            words=$("${COMP_WORDS[0]}" "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null) || return
            COMPREPLY=($(compgen -W "${words}" -- "${word}"))
        }
        complete -o default -F _routingctl routingctl
        """;

    private const string Zsh = """
        #compdef routingctl
        # routingctl completion for zsh: eval "$(routingctl completion zsh)", behind compinit
        _routingctl() {
            local line="${(j: :)words[1,CURRENT]}"
            local -a found
            found=("${(@f)$(${words[1]} "[suggest:${#line}]" "${line}" 2>/dev/null)}")
            if [[ -n "${found[1]}" ]]; then compadd -- "${found[@]}"; else _files; fi
        }
        compdef _routingctl routingctl
        """;

    private const string Fish = """
        # routingctl completion for fish: routingctl completion fish | source
        function __routingctl_words
            set -l line (commandline --cut-at-cursor --current-process | string collect)
            routingctl "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete --command routingctl --arguments '(__routingctl_words)'
        """;

    public static Command Create(Screen screen)
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish" };
        shell.AcceptOnlyFromAmong(s_shells);
        var command = new Command("completion",
            "Print the script that lets a shell complete commands, options and names") { shell };
        command.SetAction(parsed =>
        {
            screen.WriteLine(parsed.GetValue(shell) switch { "bash" => Bash, "zsh" => Zsh, _ => Fish });
            return ExitCode.Success;
        });
        return command;
    }
}
