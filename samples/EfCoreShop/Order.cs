namespace Routing.EfCoreShop;

/// <summary>An order.</summary>
public sealed class Order
{
    public long Id { get; set; }

    public string Article { get; set; } = "";

    public OrderState State { get; set; }
}

/// <summary>How far an order is; an enum of the database, too.</summary>
public enum OrderState
{
    Open,
    Sent,
}
