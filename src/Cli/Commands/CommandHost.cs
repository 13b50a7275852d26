using System.CommandLine;
using System.Security.Cryptography;
using Routing.Cli.Configuration;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary>
/// Runs commands: gives each its session, and turns what goes wrong into one sentence and an exit code.
/// </summary>
internal sealed class CommandHost(CtlEnvironment environment, GlobalOptions globals)
{
    public delegate Task<int> Handler(Session session, ParseResult parsed, CancellationToken cancellationToken);

    public Command Add(Command command, Handler handler)
    {
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed, handler, cancellationToken));
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, Handler handler, CancellationToken cancellationToken)
    {
        try
        {
            var settings = new Lazy<CtlSettings>(() => CtlSettings.Load(
                environment, parsed.GetValue(globals.ConfigFile), parsed.GetValue(globals.DcsUrl),
                parsed.GetValue(globals.Insecure)));
            using var session = new Session(environment, settings);
            return await handler(session, parsed, cancellationToken);
        }
        catch (CtlException e)
        {
            environment.Screen.WriteError(e.Message, e.Hint);
        }
        catch (ClusterStoreException e)
        {
            environment.Screen.WriteError(
                e.Message,
                HintFor(e));
        }
        catch (Exception e) when (e is AbortedException
            || (e is OperationCanceledException && cancellationToken.IsCancellationRequested))
        {
            environment.Screen.Error.WriteLine("Aborted!");
        }
        return ExitCode.Failure;
    }

    private static string? HintFor(ClusterStoreException problem) => problem switch
    {
        { IsRefusal: true, InnerException: IOException or UnauthorizedAccessException or CryptographicException } =>
            "See cacert, cert and key of the etcd3 section.",
        { IsOfLogin: true } => "See username and password of the etcd3 section.",
        { IsRefusal: true } => null,   // the error says it all
        _ => "Is etcd running, and is its address right? See --config-file and --dcs-url.",
    };
}
