using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Routing.Cli.Output;

/// <summary>
/// JSON values as YAML: mappings sorted by key, lists not indented, text quoted only where it would be read as
/// something else.
/// </summary>
internal static partial class SortedYaml
{
    private static readonly SearchValues<char> s_quotedInFlow = SearchValues.Create(":\"'&*!|>%@`#?");

    /// <summary>The block form, ended by a line break.</summary>
    public static string WriteBlock(JsonNode? node)
    {
        var text = new StringBuilder();
        if (IsCollection(node))
        {
            AppendBlock(text, node, 0);
        }
        else
        {
            text.Append(Flow(node, inFlow: false)).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>The flow form, on one line.</summary>
    public static string WriteFlow(JsonNode? node) => Flow(node);

    private static bool IsCollection(JsonNode? node) => node is JsonObject { Count: > 0 } or JsonArray { Count: > 0 };

    private static IEnumerable<KeyValuePair<string, JsonNode?>> Sorted(JsonObject item) =>
        item.OrderBy(pair => pair.Key, StringComparer.Ordinal);

    /// <summary>Appends a collection whose first line starts where the text ends.</summary>
    private static void AppendBlock(StringBuilder text, JsonNode? node, int indent)
    {
        var margin = new string(' ', indent);
        var isFirst = true;
        if (node is JsonArray items)
        {
            foreach (var item in items)
            {
                text.Append(isFirst ? "" : margin).Append("- ");
                isFirst = false;
                AppendValue(text, item, indent + 2);
            }
            return;
        }
        foreach (var (key, value) in Sorted((JsonObject)node!))
        {
            text.Append(isFirst ? "" : margin).Append(Scalar(key, inFlow: false)).Append(':');
            isFirst = false;
            if (IsCollection(value))
            {
                // A list stands under its key without further indent, a mapping two blanks deeper.
                var inner = value is JsonArray ? indent : indent + 2;
                text.Append('\n').Append(' ', inner);
                AppendBlock(text, value, inner);
            }
            else
            {
                text.Append(' ').Append(Flow(value, inFlow: false)).Append('\n');
            }
        }
    }

    private static void AppendValue(StringBuilder text, JsonNode? value, int indent)
    {
        if (IsCollection(value))
        {
            AppendBlock(text, value, indent);
        }
        else
        {
            text.Append(Flow(value, inFlow: false)).Append('\n');
        }
    }

    private static string Flow(JsonNode? node, bool inFlow = true) => node switch
    {
        JsonObject item =>
            $"{{{string.Join(", ", Sorted(item).Select(pair => $"{Scalar(pair.Key, inFlow: true)}: "
                + $"{Flow(pair.Value)}"))}}}",
        JsonArray items => $"[{string.Join(", ", items.Select(item => Flow(item)))}]",
        { } value when value.GetValueKind() == JsonValueKind.String => Scalar(value.GetValue<string>(), inFlow),
        _ => node?.ToJsonString() ?? "null",
    };

    private static string Scalar(string value, bool inFlow)
    {
        if (value.Any(c => char.IsControl(c) || c is '\u2028' or '\u2029' or '\ufeff'))
        {
            return DoubleQuoted(value);
        }
        // Within a flow form readers differ about what may stand bare behind the first character.
        return IsPlain(value) && !(inFlow && value.AsSpan().ContainsAny(s_quotedInFlow))
            ? value
            : $"'{value.Replace("'", "''", StringComparison.Ordinal)}'";
    }

    private static string DoubleQuoted(string value)
    {
        var text = new StringBuilder();
        JsonLine.AppendString(text, value);   // JSON's escapes are YAML's too
        return text.ToString();
    }

    private static bool IsPlain(string value) =>
        value.Length > 0
        && value[0] != ' '
        && value[^1] is not (' ' or ':')
        && !"-?:,[]{}#&*!|>'\"%@`=".Contains(FirstSignificant(value), StringComparison.Ordinal)
        && !value.AsSpan().ContainsAny(",[]{}")
        && !value.Contains(": ", StringComparison.Ordinal)
        && !value.Contains(" #", StringComparison.Ordinal)
        && !value.StartsWith("---", StringComparison.Ordinal)
        && !value.StartsWith("...", StringComparison.Ordinal)
        && !OtherType().IsMatch(value);

    /// <summary>
    /// The first character; a blank for a leading '-', '?' or ':' that a further character makes harmless.
    /// </summary>
    private static char FirstSignificant(string value) =>
        value.Length > 1 && value[0] is '-' or '?' or ':' && value.Length > 1 && value[1] is not (' ' or '-')
            ? ' '
            : value[0];

    /// <summary>
    /// What YAML readers (of version 1.1 too) take for null, a boolean, a number, a time or a merge key.
    /// </summary>
    [GeneratedRegex(
        """
        ^(?:
          ~|null|true|false|yes|no|on|off|y|n
          |[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-f_]+|[0-9][0-9_]*)
          |[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:e[-+]?[0-9]+)?
          |[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?e[-+]?[0-9]+
          |[-+]?\.inf|\.nan
          |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?
          |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ ].*)?
          |<<|=
        )$
        """,
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.IgnorePatternWhitespace
            | RegexOptions.ExplicitCapture)]
    private static partial Regex OtherType();
}
