await Routing.WebShop.WebShop.Build(args).RunAsync();
