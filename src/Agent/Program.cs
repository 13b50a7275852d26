System.Console.WriteLine("routing-agent");
