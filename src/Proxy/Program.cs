return await Routing.Proxy.Host.Arguments.RunAsync(args);
