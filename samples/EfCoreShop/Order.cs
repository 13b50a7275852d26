namespace Routing.EfCoreShop;

/// <summary>An order.</summary>
public sealed class Order
{
    public long Id { get; set; }

    public string Article { get; set; } = "";
}
