namespace Routing.Hosting.Discovery;

/// <summary>The order in which a client tries the targets of SRV records (RFC 2782).</summary>
internal static class SrvOrder
{
    /// <summary>
    /// The lowest priority first; among equal ones a target is drawn as often as its share of the weights says. One
    /// without weight is drawn ahead of others very seldom.
    /// </summary>
    public static IReadOnlyList<SrvTarget> Draw(IEnumerable<SrvTarget> targets, Random random)
    {
        var order = new List<SrvTarget>();
        foreach (var equals in targets.GroupBy(target => target.Priority).OrderBy(group => group.Key))
        {
            // Those without weight stand first, so that the number 0 finds them.
            var left = equals.OrderBy(target => target.Weight > 0).ToList();
            while (left.Count > 0)
            {
                var number = random.Next(left.Sum(target => target.Weight) + 1);
                var at = 0;
                for (var sum = left[0].Weight; sum < number; sum += left[at].Weight)
                {
                    at++;
                }
                order.Add(left[at]);
                left.RemoveAt(at);
            }
        }
        return order;
    }
}
