return await Routing.Proxy.Host.CommandLine.RunAsync(args);
