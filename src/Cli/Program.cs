using System.Collections;
using System.Runtime.InteropServices;
using Routing.Cli;
using Routing.Cli.Terminal;

using var interrupted = new CancellationTokenSource();
using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);

var variables = new Dictionary<string, string>(StringComparer.Ordinal);
foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
{
    variables[(string)variable.Key] = (string?)variable.Value ?? "";
}
var app = new Routingctl(new CtlEnvironment(Screen.OfProcess(), TimeProvider.System, variables));
return await app.RunAsync(args, interrupted.Token);

void Interrupt(PosixSignalContext context)
{
    context.Cancel = true;
    interrupted.Cancel();
}
