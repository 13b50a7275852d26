using Routing.Micro;

return args switch
{
    [] or ["watch-latency"] => await WatchLatency.RunAsync(Console.Out),
    ["driver"] => await DriverQuestions.RunAsync(Console.Out),
    _ => Unknown(args[0]),
};

static int Unknown(string question)
{
    Console.Error.WriteLine($"Unknown question '{question}'. Known: watch-latency, driver.");
    return 2;
}
