using System.Globalization;
using System.Net;

namespace Routing.Agent.Config;

/// <summary>
/// Networks as users write them: <c>10.0.0.0/8</c>, and also with an address inside, <c>10.1.2.3/8</c>.
/// </summary>
internal static class NetworkText
{
    /// <summary>Reads one; false for a name, and for a prefix that does not fit the address.</summary>
    public static bool TryParse(string text, out IPNetwork network)
    {
        network = default;
        var slash = text.LastIndexOf('/');
        if (!IPAddress.TryParse(slash < 0 ? text : text[..slash], out var address))
        {
            return false;
        }
        var bytes = address.GetAddressBytes();
        var length = bytes.Length * 8;
        if (slash >= 0
            && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length)
                || length > bytes.Length * 8))
        {
            return false;
        }
        for (var bit = length; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }
        network = new IPNetwork(new IPAddress(bytes), length);
        return true;
    }
}
