System.Console.WriteLine("routingctl");
